"""What this host must have before a containerd box is laid: the doctor's checks, of the parts that run."""

from __future__ import annotations

from collections.abc import Collection

from esb_node.doctor_checks import CHECKS
from esb_node.doctor_facts import Check, Facts, Finding, examine
from esb_node.errors import NodeError
from esb_node.parts import ENGINE

_SANDBOXES = {"io.containerd.runsc.v1": "gvisor", "aws.firecracker": "firecracker"}
# Left to the moment they are needed in: the network is laid when what an earlier box had is gone, and a
# kernel loads a file system at its first mount.
_LATER = frozenset({"subnet", "overlayfs"})


def modes_of(runtime: str) -> tuple[str, ...]:
    """The modes whose facts are needed to run functions by a runtime."""
    return ("containerd", *([_SANDBOXES[runtime]] if runtime in _SANDBOXES else []))


def require_host(services: Collection[str], runtime: str, facts: Facts) -> None:
    """Check what these parts of a box need.

    Raises:
        NodeError: names everything that is missing, each with its remedy.
    """
    checks = [check for check in CHECKS["containerd"] if check.part in {"", *services}]
    if ENGINE in services:
        checks += [check for mode in modes_of(runtime)[1:] for check in CHECKS[mode]]
    failed = [one for one in examine(facts, _now(checks)) if one.needed and not one.passed]
    if failed:
        raise NodeError("this host lacks what containerd mode needs\n" + "\n".join(map(_line, failed)))


def _now(checks: Collection[Check]) -> tuple[Check, ...]:
    return tuple(check for check in checks if check.name not in _LATER)


def _line(one: Finding) -> str:
    return f"  {one.name}: {one.found}; {one.remedy}"
