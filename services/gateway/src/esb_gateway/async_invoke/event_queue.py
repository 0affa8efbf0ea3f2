"""Invocations that nobody waits for: accepted, then delivered in the background.

Kept in memory: what is accepted and not yet delivered is lost when the process is killed. A stop by SIGTERM
delivers first. The interface is the one a durable queue fills later.

    put ─▶ line of the function (first in, first out; as many at once as it may have workers) ─▶ deliver
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

from attrs import define, field, frozen

from esb_gateway.errors import CallError, ThrottledError
from esb_gateway.stats import GatewayStats
from esb_gateway.workers.invoker import Call

MAX_AGE_SECONDS = 6 * 3600.0  # AWS: an event that could not be delivered for this long is given up
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


@frozen
class QueuedEvent:
    """One accepted invocation; `accepted` is on the monotonic clock."""

    function: str
    call: Call
    accepted: float
    qualifier: str | None = None


class EventQueue(Protocol):
    """Where accepted invocations go."""

    @property
    def pending(self) -> int:
        """Accepted and not yet delivered."""

    def put(self, event: QueuedEvent) -> None:
        """Accept an event.

        Raises:
            ThrottledError: there is no room.
        """

    async def drain(self, within: float) -> int:
        """Deliver what is there, for at most `within` seconds; return how many events are left."""


@define
class _Line:
    waiting: deque[QueuedEvent] = field(factory=deque)
    running: int = 0


class MemoryEventQueue:
    """`EventQueue` in memory, bounded by `limit` events in all.

    `deliver` runs one event and raises CallError when the box, not the function, failed: such an event is
    tried again. `width` says how many events of a function may run at once.
    """

    def __init__(
        self,
        deliver: Callable[[QueuedEvent], Awaitable[None]],
        width: Callable[[str], int],
        *,
        limit: int,
        stats: GatewayStats,
        monotonic: Callable[[], float],
        background: Callable[[Coroutine[object, object, None]], asyncio.Task[None]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._deliver = deliver
        self._width = width
        self._limit = limit
        self._stats = stats
        self._monotonic = monotonic
        self._background = background
        self._sleep = sleep
        self._lines: dict[str, _Line] = {}
        self._pending = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def pending(self) -> int:
        """Accepted and not yet delivered."""
        return self._pending

    def put(self, event: QueuedEvent) -> None:
        """Accept an event."""
        if self._pending >= self._limit:
            raise ThrottledError(f"Rate Exceeded: {self._limit} events wait already.")
        self._pending += 1
        self._stats.events_accepted += 1
        self._empty.clear()
        line = self._lines.setdefault(event.function, _Line())
        line.waiting.append(event)
        self._pump(event.function, line)

    async def drain(self, within: float) -> int:
        """Wait until everything is delivered, or the time is over."""
        try:
            async with asyncio.timeout(within):
                await self._empty.wait()
        except TimeoutError:
            pass
        return self._pending

    def _pump(self, function: str, line: _Line) -> None:
        while line.waiting and line.running < max(1, self._width(function)):
            line.running += 1
            self._background(self._run(function, line, line.waiting.popleft()))
        if not line.waiting and not line.running:
            self._lines.pop(function, None)

    async def _run(self, function: str, line: _Line, event: QueuedEvent) -> None:
        try:
            await self._until_delivered(event)
        finally:
            line.running -= 1
            self._pending -= 1
            if self._pending == 0:
                self._empty.set()
            self._pump(function, line)

    async def _until_delivered(self, event: QueuedEvent) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._deliver(event)
            except CallError:
                if self._monotonic() + pause - event.accepted > MAX_AGE_SECONDS:
                    self._stats.events_dropped += 1
                    return
                await self._sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._stats.events_delivered += 1
                return
