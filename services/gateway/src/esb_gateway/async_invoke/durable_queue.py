"""Accepted invocations on their way to their functions; none is lost, some run twice.

    accept ─▶ committed ─▶ line of the function ─▶ run ─┬▶ delivered: deleted
                               ▲                        ├▶ failed: written down when to try again ─▶ later
                               └────────── later ◀──────┘▶ given up: on-failure function | dead letter

The lines (event_lines.py) hold what is needed to decide; bodies are read from disk when there are many. After
a restart everything not brought to an end is delivered again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from attrs import evolve

from esb_gateway.access_log import Log
from esb_gateway.async_invoke.delivery import Runner
from esb_gateway.async_invoke.event_lines import Entry, EventLines
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_store import DeadLetter, EventStore, Grave, StoredEvent
from esb_gateway.async_invoke.failures import (
    EXHAUSTED,
    TOO_OLD,
    destination_record,
    kept_answer,
    setback_pause,
)
from esb_gateway.async_invoke.store_writer import StoreWriter
from esb_gateway.clock import Clock
from esb_gateway.errors import CallError, InfrastructureError, ThrottledError
from esb_gateway.stats import GatewayStats
from esb_gateway.tracing import Ids, bare_context
from esb_gateway.workers.invoker import Answer, Call

_T = TypeVar("_T")
_LONGEST_SLEEP = 5.0
_FORGET_SECONDS = 0.02  # delivered events are deleted together
_STORE_PAUSE = 1.0
_REPLAYED_TOGETHER = 100
_STOPPING_SECONDS = 5.0


class DurableEventQueue:
    """`EventQueue` over an `EventStore`, bounded by `limit` events in all, delivering to a `Runner`."""

    def __init__(
        self,
        store: EventStore,
        runner: Runner,
        *,
        limit: int,
        dead_letter_limit: int,
        retry_seconds: float,
        stats: GatewayStats,
        clock: Clock,
        ids: Ids,
        log: Log,
        background: Callable[[Coroutine[object, object, None]], asyncio.Task[None]],
    ) -> None:
        self._store = store
        self._writer = StoreWriter(store)
        self._runner = runner
        self._limit = limit
        self._dead_letter_limit = dead_letter_limit
        self._retry_seconds = retry_seconds
        self._stats = stats
        self._now = clock.now
        self._monotonic = clock.monotonic
        self._ids = ids
        self._log = log
        self._background = background
        self._lines = EventLines()
        self._room_taken = 0  # events being stored count already
        self._delivered: list[int] = []
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._held = True
        self._stopping = False
        self._schedules_done: Mapping[str, float] = {}

    @property
    def pending(self) -> int:
        """Accepted and not yet brought to an end."""
        return len(self._lines)

    @property
    def oldest_age(self) -> float:
        """Seconds since the oldest of them was accepted, 0 when there is none."""
        oldest = self._lines.oldest
        return max(0.0, self._monotonic() - oldest.born) if oldest else 0.0

    def pending_by_function(self) -> Counter[str]:
        """How many of them each function has."""
        return self._lines.by_function()

    @property
    def schedules_done(self) -> Mapping[str, float]:
        """Up to which moment the times of schedules are done, as an earlier run left it."""
        return self._schedules_done

    def keep_schedules(self, done: Mapping[str, float]) -> None:
        """Know these schedules from now on, and no others."""
        self._schedules_done = dict(done)
        self._background(self._surely(lambda store: store.keep_schedules(done)))

    def load(self) -> None:
        """Take up what an earlier run left, before anything is accepted. Nothing is delivered yet."""
        now, ticks = self._now(), self._monotonic()
        self._schedules_done = self._store.schedules()
        for event in self._store.load():
            # A clock that was set back makes an event young, never of a negative age.
            age = max(0.0, now - event.accepted)
            self._lines.enter(Entry(event, ticks - age, ticks + self._wait_of(event, now)), ticks)

    def start(self) -> int:
        """Begin to deliver; return how many events there are."""
        self._held = False
        self.look_again()
        return self.pending

    async def accept(self, event: QueuedEvent) -> None:
        """Take an event; returns when it is on disk."""
        await self._take(event, self._writer.add)

    async def fire(self, schedule: str, moment: float, event: QueuedEvent) -> bool:
        """Take the event of a schedule's time, once."""
        return await self._take(
            event, lambda event: self._writer.do(lambda store: store.fire(schedule, moment, event))
        )

    async def dead_letters(
        self, after: int, limit: int, function: str | None
    ) -> tuple[list[DeadLetter], int]:
        """Return dead letters behind the place `after`, without payloads, and how many there are in all."""
        return await self._writer.do(
            lambda store: (store.dead_letters(after, limit, function), store.dead_letter_count())
        )

    async def dead_letter(self, request_id: str) -> DeadLetter | None:
        """Return a dead letter with its payload."""
        return await self._writer.do(lambda store: store.dead_letter(request_id))

    async def forget(self, request_id: str) -> bool:
        """Delete a dead letter; False when there is none of that id."""
        return await self._writer.do(lambda store: store.forget(request_id))

    async def replay(self, request_id: str | None, function: str | None = None) -> int:
        """Make one dead letter, or all (of a function), events again, as new as on their first day.

        Returns how many; those there was no room for stay where they are.

        Raises:
            ThrottledError: there is room for none.
        """
        if request_id is not None:
            one = await self._revive(lambda store: [store.dead_letter(request_id)], 1)
            return len(one)
        # Those that die again meanwhile are left alone.
        last = await self._writer.do(lambda store: store.last_dead_letter())
        replayed = 0
        while replayed == 0 or self._room():
            some = await self._revive(
                lambda store: store.dead_letters(0, _REPLAYED_TOGETHER, function, last), _REPLAYED_TOGETHER
            )
            replayed += len(some)
            if len(some) < _REPLAYED_TOGETHER:
                break
        return replayed

    async def _revive(
        self, choose: Callable[[EventStore], Sequence[DeadLetter | None]], most: int
    ) -> list[StoredEvent]:
        """Revive what `choose` finds, as far as there is room; the room is kept meanwhile."""
        room, now = min(most, self._room()), self._now()
        if room < 1:
            raise self._full()
        self._room_taken += room
        revived = self._writer.do(
            lambda store: store.revive([letter for letter in choose(store) if letter][:room], now)
        )
        revived.add_done_callback(lambda done: self._revived(room, done))
        return await asyncio.shield(revived)

    def _revived(self, room: int, revived: asyncio.Future[list[StoredEvent]]) -> None:
        self._room_taken -= room
        if revived.exception() is None:
            for event in revived.result():
                self._stats.events_replayed += 1
                self._enter(event)

    def _room(self) -> int:
        return self._limit - self.pending - self._room_taken

    def _full(self) -> ThrottledError:
        return ThrottledError(f"Rate Exceeded: {self._limit} events wait already.")

    def look_again(self) -> None:
        """Deliver what a new generation can run."""
        for function in self._lines.waiting():
            self._pump(function)

    async def step(self) -> None:
        """Move on what is due, then wait for the next time, at most a few seconds."""
        self.tick()
        self._wake.clear()
        due = self._lines.next_due
        wait = _LONGEST_SLEEP if due is None else min(due - self._monotonic(), _LONGEST_SLEEP)
        try:
            async with asyncio.timeout(max(wait, 0.0)):
                await self._wake.wait()
        except TimeoutError:
            pass

    def tick(self) -> None:
        """Put back into line what is due now, and give up what grew too old in a line that doesn't move."""
        now = self._monotonic()
        self._lines.release(now)
        if self._held:
            return
        for function in self._lines.waiting():
            self._pump(function)
            if self._runner.width(function) < 1:
                born = now - self._runner.rules(function).max_age
                while entry := self._lines.take_older(function, born):
                    self._spawn(entry)

    async def drain(self, within: float) -> int:
        """Start no more deliveries and wait for those that run; return how many events are left on disk.

        What is cut off after `within` seconds is delivered again by the next run.
        """
        self._held = self._stopping = True
        if self._running:
            await asyncio.wait(set(self._running), timeout=within)
        for task in set(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(set(self._running), timeout=_STOPPING_SECONDS)
        seqs, self._delivered = self._delivered, []
        try:
            await self._writer.do(lambda store: store.finish(seqs))
        except Exception as error:  # noqa: BLE001 - they are delivered once more then, and the stop goes on
            self._log.error("events not written", error=str(error))
        await self._writer.close()
        return self.pending

    async def _take(self, event: QueuedEvent, store: Callable[[QueuedEvent], asyncio.Future[Any]]) -> bool:
        if self._room() < 1:
            raise self._full()
        self._room_taken += 1
        stored = store(event)
        # Not after the await: whoever waits may be cancelled, the event is accepted all the same.
        stored.add_done_callback(lambda done: self._taken(event, done))
        try:
            return await asyncio.shield(stored) is not None
        except CallError:
            raise
        except Exception as error:
            raise InfrastructureError(f"The event could not be stored: {error}") from error

    def _taken(self, event: QueuedEvent, stored: asyncio.Future[int | None]) -> None:
        self._room_taken -= 1
        error = stored.exception()
        if error is not None:
            self._stats.event_store_failures += 1
            self._log.error("event not stored", function=event.function, error=str(error))
            return
        seq = stored.result()
        if seq is not None:
            self._stats.events_accepted += 1
            self._stats.of(event.function).events_accepted += 1
            self._enter_new(seq, event)

    def _enter_new(self, seq: int, event: QueuedEvent) -> None:
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

    def _enter(self, event: StoredEvent, body: bytes | None = None) -> None:
        now = self._monotonic()
        self._lines.enter(Entry(event, now, now, body), now)
        self._pump(event.function)

    def _wait_of(self, event: StoredEvent, now: float) -> float:
        """Seconds until the next try that was written down; never longer than a pause can be."""
        longest = max(setback_pause(event.setbacks), event.attempts * self._retry_seconds)
        return min(max(0.0, event.next_at - now), longest) if event.next_at else 0.0

    def _pump(self, function: str) -> None:
        if self._held:
            return
        width = self._runner.width(function)
        while entry := self._lines.take(function, width):
            self._spawn(entry)

    def _spawn(self, entry: Entry) -> None:
        task = self._background(self._run(entry))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, entry: Entry) -> None:
        function = entry.event.function
        try:
            await self._deliver(entry)
        except Exception:  # noqa: BLE001 - the outermost point of this event: a bug must not lose it
            self._log.exception("event not brought to an end", **_marks(entry.event))
            self._set_back(entry, "the gateway failed")
        finally:
            self._lines.end(function)
            self._pump(function)

    async def _deliver(self, entry: Entry) -> None:
        rules = self._runner.rules(entry.event.function)
        left = rules.max_age - (self._monotonic() - entry.born)
        if left <= 0:
            await self._give_up(entry, TOO_OLD, "too old before it could be delivered", None)
            return
        try:
            answer = await self._runner.run(entry.event, await self._body(entry), left)
        except CallError as error:
            self._set_back(entry, str(error))
            return
        if answer.function_error is None:
            self._done(entry)
        else:
            await self._failed(entry, answer)

    async def _body(self, entry: Entry) -> bytes:
        if entry.body is not None:
            return entry.body
        seq = entry.event.seq
        return await self._surely(lambda store: store.body(seq))

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
        seqs, self._delivered = self._delivered, []
        if seqs:
            self._background(self._surely(lambda store: store.finish(seqs)))

    async def _failed(self, entry: Entry, answer: Answer) -> None:
        """The function's own failure."""
        event = entry.event = evolve(entry.event, attempts=entry.event.attempts + 1, setbacks=0)
        rules = self._runner.rules(event.function)
        self._stats.of(event.function).events_failed += 1
        error = answer.body[:500].decode("utf-8", "replace")
        pause = event.attempts * self._retry_seconds
        if event.attempts > rules.max_retries:
            await self._give_up(entry, EXHAUSTED, error, answer)
        elif self._monotonic() + pause - entry.born > rules.max_age:
            await self._give_up(entry, TOO_OLD, error, answer)
        else:
            self._log.warning("event failed", error=error, retry_in=pause, **_marks(event))
            self._try_later(entry, pause)

    def _set_back(self, entry: Entry, error: str) -> None:
        """The box's failure. Beyond the maximum age the next try finds that out, and says so."""
        event = entry.event = evolve(entry.event, setbacks=entry.event.setbacks + 1)
        left = self._runner.rules(event.function).max_age - (self._monotonic() - entry.born)
        pause = min(setback_pause(event.setbacks), max(left, 0.0) + 0.001)
        self._log.warning("event set back", error=error, retry_in=round(pause, 3), **_marks(event))
        self._try_later(entry, pause)

    def _try_later(self, entry: Entry, pause: float) -> None:
        event = entry.event = evolve(entry.event, next_at=self._now() + pause)
        self._stats.events_retried += 1
        self._stats.of(event.function).events_retried += 1
        entry.due = self._monotonic() + pause
        self._lines.put_off(entry)
        self._wake.set()
        self._background(self._surely(lambda store: store.postpone(event)))

    async def _give_up(self, entry: Entry, condition: str, error: str, answer: Answer | None) -> None:
        event, rules = entry.event, self._runner.rules(entry.event.function)
        self._log.error("event given up", condition=condition, error=error, **_marks(event))
        if rules.on_failure and not event.destination:
            if self._runner.width(rules.on_failure):
                record = self._record(entry, await self._body(entry), condition, answer, rules.on_failure)
                seq = await self._surely(lambda store: store.redirect(event.seq, record))
                self._lines.leave(entry)
                self._stats.events_redirected += 1
                self._enter_new(seq, record)
                return
            self._log.error("no such on-failure function", destination=rules.on_failure, **_marks(event))
        grave = Grave(self._now(), condition, error, kept_answer(answer))
        gone = await self._surely(lambda store: store.bury(event, grave, self._dead_letter_limit))
        self._lines.leave(entry)
        self._stats.events_dead += 1
        self._stats.of(event.function).events_dead += 1
        if gone:
            self._log.error("oldest dead letters deleted", events=gone, limit=self._dead_letter_limit)

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

    async def _surely(self, work: Callable[[EventStore], _T]) -> _T:
        """Do work on the store, again and again until the disk takes it, or the gateway stops."""
        while True:
            try:
                return await self._writer.do(work)
            except sqlite3.Error as error:
                if self._stopping:
                    raise
                self._stats.event_store_failures += 1
                self._log.error("events not written", error=str(error))
                await asyncio.sleep(_STORE_PAUSE)


def _marks(event: StoredEvent) -> dict[str, object]:
    return {
        "function": event.function,
        "request_id": event.request_id,
        "trace_id": event.trace,
        "attempts": event.attempts,
    }
