"""One try of an event, and what follows from how it ended: it is deleted, put off, passed on or buried."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

from attrs import evolve

from esb_gateway.async_invoke.delivery import Runner
from esb_gateway.async_invoke.event_lines import Entry, EventLines
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_rows import Grave, StoredEvent
from esb_gateway.async_invoke.event_tools import EventTools
from esb_gateway.async_invoke.failures import (
    EXHAUSTED,
    TOO_OLD,
    destination_record,
    kept_answer,
    setback_pause,
)
from esb_gateway.async_invoke.sure_writes import SureWrites
from esb_gateway.errors import CallError
from esb_gateway.tracing import bare_context
from esb_gateway.workers.invoker import Answer, Call

_FORGET_SECONDS = 0.02  # delivered events are deleted together


class Attempts:
    """Runs events that `lines` gave out; `passed_on` takes the stored records for on-failure functions."""

    def __init__(
        self,
        lines: EventLines,
        writes: SureWrites,
        runner: Runner,
        tools: EventTools,
        *,
        dead_letter_limit: int,
        retry_seconds: float,
        passed_on: Callable[[int, QueuedEvent], None],
    ) -> None:
        self._lines = lines
        self._writes = writes
        self._runner = runner
        self._dead_letter_limit = dead_letter_limit
        self._retry_seconds = retry_seconds
        self._stats = tools.stats
        self._now = tools.clock.now
        self._monotonic = tools.clock.monotonic
        self._ids = tools.ids
        self._log = tools.log
        self._background = tools.background
        self._passed_on = passed_on
        self._delivered: list[int] = []

    async def run(self, entry: Entry) -> None:
        """Try an event once; it has left the lines then, or waits in them for its next try."""
        try:
            await self._deliver(entry)
        except Exception:  # noqa: BLE001 - the outermost point of this event: a bug must not lose it
            self._log.exception("event not brought to an end", **_marks(entry.event))
            self._set_back(entry, "the gateway failed")

    def delivered(self) -> list[int]:
        """Hand over the places of the events that are delivered and still to be deleted."""
        seqs, self._delivered = self._delivered, []
        return seqs

    def wait_of(self, event: StoredEvent, now: float) -> float:
        """Seconds until the next try that was written down; never longer than a pause can be."""
        longest = max(setback_pause(event.setbacks), event.attempts * self._retry_seconds)
        return min(max(0.0, event.next_at - now), longest) if event.next_at else 0.0

    async def _deliver(self, entry: Entry) -> None:
        left = self._left(entry)
        if left <= 0:
            await self._give_up(entry, TOO_OLD, "too old before it could be delivered", None)
            return
        try:
            answer = await self._runner.run(entry.event, await self._body(entry), left)
        except CallError as error:
            # Not beyond the maximum age: the next try finds that it is reached, and says so.
            self._set_back(entry, str(error), most=max(self._left(entry), 0.0) + 0.001)
            return
        if answer.function_error is None:
            self._done(entry)
        else:
            await self._failed(entry, answer)

    def _left(self, entry: Entry) -> float:
        """Seconds until the event is too old."""
        return self._runner.rules(entry.event.function).max_age - (self._monotonic() - entry.born)

    async def _body(self, entry: Entry) -> bytes:
        if entry.body is not None:
            return entry.body
        seq = entry.event.seq
        return await self._writes.do(lambda store: store.body(seq))

    def _done(self, entry: Entry) -> None:
        event = entry.event
        self._lines.leave(entry)
        if not self._delivered:
            asyncio.get_running_loop().call_later(_FORGET_SECONDS, self._forget)
        self._delivered.append(event.seq)
        self._stats.events_delivered += 1
        self._stats.of(event.function).events_delivered += 1
        self._log.info("event delivered", **_marks(event))

    def _forget(self) -> None:
        """Delete what was delivered; should that fail, the next run delivers it once more."""
        seqs = self.delivered()
        if seqs:
            self._background(self._writes.do(lambda store: store.finish(seqs)))

    async def _failed(self, entry: Entry, answer: Answer) -> None:
        """The function's own failure."""
        event = entry.event = evolve(entry.event, attempts=entry.event.attempts + 1, setbacks=0)
        self._stats.of(event.function).events_failed += 1
        error = answer.body[:500].decode("utf-8", "replace")
        pause = event.attempts * self._retry_seconds
        if event.attempts > self._runner.rules(event.function).max_retries:
            await self._give_up(entry, EXHAUSTED, error, answer)
        elif pause > self._left(entry):
            await self._give_up(entry, TOO_OLD, error, answer)
        else:
            self._log.warning("event failed", error=error, retry_in=pause, **_marks(event))
            self._try_later(entry, pause)

    def _set_back(self, entry: Entry, error: str, *, most: float = inf) -> None:
        """The box's failure."""
        event = entry.event = evolve(entry.event, setbacks=entry.event.setbacks + 1)
        pause = min(setback_pause(event.setbacks), most)
        self._log.warning("event set back", error=error, retry_in=round(pause, 3), **_marks(event))
        self._try_later(entry, pause)

    def _try_later(self, entry: Entry, pause: float) -> None:
        event = entry.event = evolve(entry.event, next_at=self._now() + pause)
        self._stats.events_retried += 1
        self._stats.of(event.function).events_retried += 1
        self._lines.put_off(entry, self._monotonic() + pause)
        # What holds when it is written: a disk that takes nothing for long may see the next try first.
        self._background(self._writes.do(lambda store: store.postpone(entry.event)))

    async def _give_up(self, entry: Entry, condition: str, error: str, answer: Answer | None) -> None:
        event = entry.event
        self._log.error("event given up", condition=condition, error=error, **_marks(event))
        if await self._pass_on(entry, condition, answer):
            return
        grave = Grave(self._now(), condition, error, kept_answer(answer))
        gone = await self._writes.do(
            lambda store: store.graveyard.bury(event, grave, self._dead_letter_limit)
        )
        self._lines.leave(entry)
        self._stats.events_dead += 1
        self._stats.of(event.function).events_dead += 1
        if gone:
            self._log.error("oldest dead letters deleted", events=gone, limit=self._dead_letter_limit)

    async def _pass_on(self, entry: Entry, condition: str, answer: Answer | None) -> bool:
        """Put a record for the on-failure function in the event's place; False when it has none."""
        event, function = entry.event, self._runner.rules(entry.event.function).on_failure
        if not function or event.destination:
            return False
        if self._runner.width(function) < 1:
            self._log.error("on-failure function gone or switched off", destination=function, **_marks(event))
            return False
        record = self._record(entry, await self._body(entry), condition, answer, function)
        seq = await self._writes.do(lambda store: store.redirect(event.seq, record))
        self._lines.leave(entry)
        self._stats.events_redirected += 1
        self._passed_on(seq, record)
        return True

    def _record(
        self, entry: Entry, body: bytes, condition: str, answer: Answer | None, function: str
    ) -> QueuedEvent:
        event, now = entry.event, self._now()
        payload = destination_record(
            event.call(body),
            self._runner.arn(event.function),
            condition,
            attempts=event.attempts,
            answer=answer,
            now=now,
        )
        call = Call(self._ids.request_id(), event.trace, bare_context(event.trace), payload)
        return QueuedEvent(function, call, now, destination=True)


def _marks(event: StoredEvent) -> dict[str, object]:
    return {
        "function": event.function,
        "request_id": event.request_id,
        "trace_id": event.trace,
        "attempts": event.attempts,
    }
