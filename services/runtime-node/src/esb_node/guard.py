"""The guard: a parent that outlives the supervisor and ends what it leaves behind.

    esb-node up ─fork▶ supervisor ─▶ services ─▶ workers

The guard does nothing while all is well. When the supervisor is gone, by its own will or by `kill -9`, every
process below it has the guard as its parent (it adopts orphans), so the guard can find and end them all. When
the guard is killed, the supervisor gets SIGTERM and stops in order.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from types import FrameType

from esb_node.errors import NodeError
from esb_node.processes import adopt_orphans, die_with_parent, end_orphans

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS = 3.0
_BUG = 1


def run_guarded(body: Callable[[], int], spared: Callable[[], Collection[int]] = tuple) -> int:
    """Run `body` in a child; returns its exit code, or minus the signal's number, when nothing is left of it.

    What is `spared` goes on, for the next box to take over.

    Raises:
        NodeError: some process could not be killed.
    """
    adopt_orphans()
    parent = os.getpid()
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _FORWARDED}  # until we can forward
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _be_child(body, parent)
    for number in _FORWARDED:
        signal.signal(number, _forwarding(child))
    status = os.waitstatus_to_exitcode(_wait_for(child))
    left = end_orphans(set(), _GRACE_SECONDS if status < 0 else 0.0, spared)
    for number, handler in before.items():
        signal.signal(number, handler)
    if left:
        raise NodeError(f"these processes could not be killed: {', '.join(map(str, sorted(left)))}")
    return status


def _be_child(body: Callable[[], int], parent: int) -> None:
    code = _BUG
    try:
        for number in _FORWARDED:
            signal.signal(number, signal.SIG_DFL)
        die_with_parent(parent)
        adopt_orphans()
        code = body()
    except BaseException:  # noqa: BLE001 - the outermost point of a process: show the bug, then end for sure
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _wait_for(child: int) -> int:
    """The wait status of the child; adopted processes that end meanwhile are cleared away."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            return status


def _forwarding(child: int) -> Callable[[int, FrameType | None], None]:
    def forward(_number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)

    return forward
