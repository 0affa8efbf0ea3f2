"""What a containerd box sets in its host's kernel, besides forwarding: it stays as it is after the box."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from esb_node.errors import NodeError

EXPEDITED = Path("/sys/kernel/rcu_expedited")
VARIABLE = "ESB_RCU_EXPEDITED"
_WORDS = {"": True, "1": True, "0": False}


def wants_expedited(environ: Mapping[str, str]) -> bool:
    """Whether this box may have the kernel end grace periods at once; it may where nothing is said.

    Raises:
        NodeError: neither 0 nor 1.
    """
    said = environ.get(VARIABLE, "")
    if said not in _WORDS:
        raise NodeError(f"{VARIABLE}: expected 0 or 1, found {said!r}")
    return _WORDS[said]


def expedite(file: Path = EXPEDITED) -> str:
    """Have the kernel end its grace periods at once. Returns why it can't be had, or "".

    A worker's start waits for several of them, one after the other: for namespaces, control groups, mounts,
    for each process of gVisor. A normal one takes some 15 ms, an expedited one interrupts every CPU for
    microseconds. See "rcu_expedited" in the kernel's admin guide.
    """
    try:
        if file.read_text().strip() == "0":
            file.write_text("1\n")
    except OSError as error:
        return error.strerror or str(error)
    return ""
