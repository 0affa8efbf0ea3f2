"""How events come in: from callers, from schedules, back from the dead. All are on disk before they count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from esb_gateway.async_invoke.event_lines import Entry, EventLines
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_rows import DeadLetter, StoredEvent
from esb_gateway.async_invoke.event_store import EventStore
from esb_gateway.async_invoke.event_tools import EventTools
from esb_gateway.async_invoke.store_writer import StoreWriter
from esb_gateway.errors import InfrastructureError, ThrottledError


class Intake:
    """Lets in at most `limit` events, and tells `entered` the function of each."""

    def __init__(
        self,
        writer: StoreWriter,
        lines: EventLines,
        tools: EventTools,
        *,
        limit: int,
        entered: Callable[[str], None],
    ) -> None:
        self._writer = writer
        self._lines = lines
        self._limit = limit
        self._stats = tools.stats
        self._now = tools.clock.now
        self._monotonic = tools.clock.monotonic
        self._log = tools.log
        self._entered = entered
        self._kept_free = 0  # for events that are being stored

    @property
    def room(self) -> int:
        """How many more there is room for."""
        return self._limit - len(self._lines) - self._kept_free

    async def accept(self, event: QueuedEvent) -> None:
        """Take an event."""
        await self._take(event, self._writer.add)

    async def fire(self, schedule: str, moment: float, event: QueuedEvent) -> bool:
        """Take the event of a schedule's time, once."""
        return await self._take(
            event, lambda event: self._writer.do(lambda store: store.fire(schedule, moment, event))
        )

    async def revive(
        self, choose: Callable[[EventStore], Sequence[DeadLetter | None]], most: int
    ) -> Sequence[StoredEvent]:
        """Revive up to `most` of what `choose` finds, as far as there is room.

        Raises:
            ThrottledError: there is room for none.
        """
        most, now = min(most, self.room), self._now()
        if most < 1:
            raise self._full()
        revived = self._writer.do(
            lambda store: store.graveyard.revive([letter for letter in choose(store) if letter][:most], now)
        )
        self._kept_free += most
        revived.add_done_callback(lambda done: self._revived(most, done))
        return await asyncio.shield(revived)

    def enter_new(self, seq: int, event: QueuedEvent) -> None:
        """Put an event in line that has just been stored."""
        call = event.call
        row = StoredEvent(
            seq,
            call.request_id,
            event.function,
            event.qualifier,
            call.trace,
            call.client_context,
            event.accepted,
            destination=event.destination,
        )
        self._enter(row, call.body)

    async def _take(self, event: QueuedEvent, store: Callable[[QueuedEvent], asyncio.Future[Any]]) -> bool:
        if self.room < 1:
            raise self._full()
        try:
            stored = store(event)
            self._kept_free += 1
            # Not after the await: whoever waits may be cancelled, the event is accepted all the same.
            stored.add_done_callback(lambda done: self._taken(event, done))
            return await asyncio.shield(stored) is not None
        except Exception as error:
            raise InfrastructureError(f"The event could not be stored: {error}") from error

    def _taken(self, event: QueuedEvent, stored: asyncio.Future[int | None]) -> None:
        self._kept_free -= 1
        error = stored.exception()
        if error is not None:
            self._stats.event_store_failures += 1
            self._log.error("event not stored", function=event.function, error=str(error))
            return
        seq = stored.result()
        if seq is not None:
            self._stats.events_accepted += 1
            self._stats.of(event.function).events_accepted += 1
            self.enter_new(seq, event)

    def _revived(self, kept_free: int, revived: asyncio.Future[list[StoredEvent]]) -> None:
        self._kept_free -= kept_free
        if revived.exception() is None:
            for event in revived.result():
                self._stats.events_replayed += 1
                self._enter(event)

    def _enter(self, event: StoredEvent, body: bytes | None = None) -> None:
        now = self._monotonic()
        self._lines.enter(Entry(event, now, now, body), now)
        self._entered(event.function)

    def _full(self) -> ThrottledError:
        return ThrottledError(f"Rate Exceeded: {self._limit} events wait already.")
