"""Accepted invocations on their way to their functions; none is lost, some run twice.

    intake ─▶ committed ─▶ line of the function ─▶ attempt ─┬▶ delivered: deleted
                               ▲                            ├▶ failed: written down when to try again ─▶ later
                               └──────────── later ◀────────┘▶ given up: on-failure function | dead letter

The lines (event_lines.py) hold what is needed to decide; bodies are read from disk when there are many. After
a restart everything not brought to an end is delivered again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from math import inf

from esb_gateway.async_invoke.attempts import Attempts
from esb_gateway.async_invoke.dead_letters import DeadLetters
from esb_gateway.async_invoke.delivery import Runner
from esb_gateway.async_invoke.event_lines import Entry, EventLines
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_store import EventStore
from esb_gateway.async_invoke.event_tools import EventTools
from esb_gateway.async_invoke.intake import Intake
from esb_gateway.async_invoke.store_writer import StoreWriter
from esb_gateway.async_invoke.sure_writes import SureWrites

_LONGEST_SLEEP = 5.0
_STOPPING_SECONDS = 5.0


class DurableEventQueue:
    """`EventQueue` over an `EventStore`, bounded by `limit` events in all, delivering to a `Runner`."""

    def __init__(
        self,
        store: EventStore,
        runner: Runner,
        tools: EventTools,
        *,
        limit: int,
        dead_letter_limit: int,
        retry_seconds: float,
    ) -> None:
        self._store = store
        self._runner = runner
        self._now = tools.clock.now
        self._monotonic = tools.clock.monotonic
        self._log = tools.log
        self._background = tools.background
        self._lines = EventLines()
        self._writer = StoreWriter(store)
        self._writes = SureWrites(self._writer, tools)
        self._intake = Intake(self._writer, self._lines, tools, limit=limit, entered=self._pump)
        self._attempts = Attempts(
            self._lines,
            self._writes,
            runner,
            tools,
            dead_letter_limit=dead_letter_limit,
            retry_seconds=retry_seconds,
            passed_on=self._intake.enter_new,
        )
        self.dead_letters = DeadLetters(self._writer, self._intake)
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._asleep_until = inf
        self._held = True
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
        self._background(self._writes.do(lambda store: store.keep_schedules(self._schedules_done)))

    def load(self) -> None:
        """Take up what an earlier run left, before anything is accepted. Nothing is delivered yet."""
        now, ticks = self._now(), self._monotonic()
        self._schedules_done = self._store.schedules()
        for event in self._store.load():
            # A clock that was set back makes an event young, never of a negative age.
            age = max(0.0, now - event.accepted)
            due = ticks + self._attempts.wait_of(event, now)
            self._lines.enter(Entry(event, ticks - age, due), ticks)

    def start(self) -> int:
        """Begin to deliver; return how many events there are."""
        self._held = False
        self.look_again()
        return self.pending

    async def accept(self, event: QueuedEvent) -> None:
        """Take an event; returns when it is on disk."""
        await self._intake.accept(event)

    async def fire(self, schedule: str, moment: float, event: QueuedEvent) -> bool:
        """Take the event of a schedule's time, once."""
        return await self._intake.fire(schedule, moment, event)

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
        self._asleep_until = self._monotonic() + wait
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
        self._held = True
        self._writes.stop()
        if self._running:
            await asyncio.wait(set(self._running), timeout=within)
        for task in set(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(set(self._running), timeout=_STOPPING_SECONDS)
        seqs = self._attempts.delivered()
        try:
            await self._writer.do(lambda store: store.finish(seqs))
        except Exception as error:  # noqa: BLE001 - they are delivered once more then, and the stop goes on
            self._log.error("events not written", error=str(error))
        await self._writer.close()
        return self.pending

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
            await self._attempts.run(entry)
        finally:
            self._lines.end(function)
            self._pump(function)
            due = self._lines.next_due
            if due is not None and due < self._asleep_until:
                self._wake.set()
