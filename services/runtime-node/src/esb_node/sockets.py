"""Where a unix socket of the box stands: in its state directory, or in a short place if that is too long."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from esb_node.errors import NodeError

_LONGEST = 100  # the kernel takes 107 bytes


def socket_path(state: Path, name: str) -> Path:
    """The path of a socket; makes the short directory (0700, ours) when it is needed.

    Raises:
        NodeError: the short directory belongs to somebody else.
    """
    path = socket_place(state, name)
    if path.parent == state:
        return path
    short = path.parent
    short.mkdir(mode=0o700, exist_ok=True)
    found = short.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise NodeError(f"{short} is not a private directory of this user; use a shorter --state path")
    return path


def socket_place(state: Path, name: str) -> Path:
    """The path of a socket, without making anything."""
    path = state / name
    return path if len(os.fsencode(path)) <= _LONGEST else _short(state) / name


def remove_sockets(state: Path) -> None:
    """Remove the short directory of a box that has ended, if there is one."""
    shutil.rmtree(_short(state), ignore_errors=True)


def _short(state: Path) -> Path:
    mark = hashlib.sha256(bytes(state)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"esb-{os.getuid()}-{mark}"
