"""Time, as the gateway is given it."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import frozen


@frozen
class Clock:
    """`now` is seconds since the epoch and may jump; `monotonic` never goes back and is for durations."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
