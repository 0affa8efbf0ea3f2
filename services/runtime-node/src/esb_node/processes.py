"""Processes of the box: started so that they end with their parent, stopped with everything they started.

Three nets, each below the one before it:
1. the supervisor stops its services itself, in order;
2. the kernel sends every service SIGTERM when the supervisor dies (PR_SET_PDEATHSIG);
3. what was started by a service and lost its parent is handed to the supervisor, or to its guard
   (PR_SET_CHILD_SUBREAPER), which kill it: `end_orphans`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ORPHAN_POLL = 0.01
_UNKILLABLE_SECONDS = 5.0


def spawn(
    argv: Sequence[str], env: Mapping[str, str], stdout: BinaryIO, stderr: BinaryIO
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own; it gets SIGTERM when this process dies.

    Raises:
        OSError: the program can't be started.
    """
    return subprocess.Popen(
        list(argv),
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=_dying_with(os.getpid(), _libc()),  # noqa: PLW1509 - a process of one thread
    )


def die_with_parent(parent: int) -> None:
    """Ask for SIGTERM when the parent dies; end at once if it has died already."""
    _dying_with(parent, _libc())()


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own."""
    _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the process and all of its session's first group; gone ones are no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def reap_orphans(own: Collection[int]) -> None:
    """Clear away adopted processes that have ended; `own` are left to whoever started them."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in own:
            return
        os.waitpid(ended.si_pid, 0)


def end_orphans(
    own: Collection[int], term_seconds: float = 0.0, spared: Callable[[], Collection[int]] = tuple
) -> set[int]:
    """Kill every child that is not in `own`, and what these leave behind; returns those that could not be.

    With `term_seconds` they get SIGTERM first and that long to end by themselves. `spared` says each time
    anew which processes may go on without their parent.
    """
    deadline = time.monotonic() + term_seconds
    if term_seconds:
        _signal_all(children() - set(own) - set(spared()), signal.SIGTERM)
    while orphans := children() - set(own) - set(spared()):
        late = time.monotonic() - deadline
        if late >= _UNKILLABLE_SECONDS:
            return orphans
        if late >= 0:
            _signal_all(orphans, signal.SIGKILL)
        for pid in orphans:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_ORPHAN_POLL)
    return set()


def children() -> set[int]:
    """The processes whose parent this one is, zombies included."""
    own = str(os.getpid())
    return {int(entry.name) for entry in _processes() if _stat(entry)[1:2] == [own]}


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone. Tells reused numbers apart."""
    fields = _stat(Path("/proc") / str(pid))
    return int(fields[19]) if len(fields) > 19 and fields[0] != "Z" else None


def _processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _stat(entry: Path) -> list[str]:
    """Fields of /proc/PID/stat from the state on: the name before it may hold anything."""
    try:
        text = (entry / "stat").read_text(errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _signal_all(pids: Collection[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _dying_with(parent: int, libc: ctypes.CDLL) -> Callable[[], None]:
    """Prepared before the fork, so that between fork and exec nothing is imported or looked up."""

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask
