"""One box to a state directory: a lock the kernel drops when its last holder is gone.

The guard and the supervisor share it by inheritance, the services never see it. So a free lock means: nothing
of this box is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import asdict, frozen

from esb_node.errors import BoxRunningError
from esb_node.processes import start_ticks

FILE = "box.lock"
_TRIES = 10
_TRY_PAUSE = 0.05


@frozen
class Holder:
    """Who runs the box: the process to signal, told from a later one of the same number by its start time."""

    pid: int
    ticks: int
    since: str


@contextmanager
def hold(state: Path) -> Iterator[int]:
    """Hold the lock; yields the descriptor that forked processes keep it by.

    Raises:
        BoxRunningError: somebody else holds it.
    """
    descriptor = os.open(state / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for attempt in range(_TRIES):  # somebody who only looks holds it for a moment
            if _try(descriptor, fcntl.LOCK_EX):
                break
            if attempt + 1 == _TRIES:
                raise BoxRunningError(_who(state))
            time.sleep(_TRY_PAUSE)
        yield descriptor
    finally:
        os.close(descriptor)


def sign(descriptor: int, since: str) -> None:
    """Write into the lock file that this process is the one to signal."""
    holder = Holder(os.getpid(), start_ticks(os.getpid()) or 0, since)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)


def is_held(state: Path) -> bool:
    """Whether a box runs on the state directory.

    Raises:
        OSError: that can't be known, as with somebody else's box.
    """
    try:
        descriptor = os.open(state / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return not _try(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def stands(descriptor: int, state: Path) -> bool:
    """Whether the lock held by the descriptor is still the one that others would find."""
    try:
        return os.path.samestat(os.fstat(descriptor), (state / FILE).stat())
    except FileNotFoundError:
        return False


def holder(state: Path) -> Holder | None:
    """Who signed the lock, if that process is still there."""
    try:
        found = Holder(**json.loads((state / FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if start_ticks(found.pid) == found.ticks else None


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _who(state: Path) -> str:
    by = holder(state)
    told = f"process {by.pid} since {by.since}" if by else "another process"
    return f"{state}: the box is up already, run by {told} (`esb-node down --state {state}` stops it)"
