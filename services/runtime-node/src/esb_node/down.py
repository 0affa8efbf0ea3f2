"""Ending a box that runs elsewhere: ask its guard and wait until the lock is free, that is, all are gone."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from esb_node import lock
from esb_node.errors import NodeError

_POLL = 0.03
_ASK_AGAIN_SECONDS = 5.0


def stop_box(state: Path, seconds: float) -> bool:
    """Stop the box; returns False when none was running.

    Raises:
        NodeError: it is still there after `seconds`.
    """
    if not lock.is_held(state):
        return False
    deadline, ask_at = time.monotonic() + seconds, 0.0
    while lock.is_held(state):
        now = time.monotonic()
        by = lock.holder(state)  # read each time: a box that is just starting signs a moment after it locks
        if now >= deadline:
            raise NodeError(
                f"{state}: the box does not end within {seconds:g} s (process {by.pid if by else '?'})"
            )
        if by and now >= ask_at:
            ask_at = now + _ASK_AGAIN_SECONDS
            with suppress(ProcessLookupError):
                os.kill(by.pid, signal.SIGTERM)
        time.sleep(_POLL)
    return True
