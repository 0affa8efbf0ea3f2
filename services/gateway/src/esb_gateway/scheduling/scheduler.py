"""Waits for the next schedule to come due and hands its event to the queue. The rules are in schedules.py."""

from __future__ import annotations

import asyncio

from esb_gateway.access_log import Log
from esb_gateway.async_invoke.event_queue import EventQueue, QueuedEvent
from esb_gateway.clock import Clock
from esb_gateway.deployment import Box, Deployment
from esb_gateway.errors import CallError
from esb_gateway.scheduling.schedules import GRACE_SECONDS, Firing, ScheduleBook, event_payload
from esb_gateway.stats import GatewayStats
from esb_gateway.tracing import Ids, bare_context
from esb_gateway.workers.invoker import Call

_STORE_PAUSE = 1.0
_LONGEST_SLEEP = 5.0  # the wall clock may be set, or the machine may have slept: look again


class Scheduler:
    """Fires the schedules of whatever deployment is served."""

    def __init__(
        self,
        box: Box,
        events: EventQueue,
        stats: GatewayStats,
        log: Log,
        *,
        clock: Clock,
        ids: Ids,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._box = box
        self._events = events
        self._stats = stats
        self._log = log
        self._now = clock.now
        self._ids = ids
        self._book = ScheduleBook(grace)
        self._changed = asyncio.Event()

    def adopt(self, deployment: Deployment) -> None:
        """Go over to the schedules of a new generation."""
        done = self._book.replace(deployment.schedules, self._now(), self._events.schedules_done)
        self._events.keep_schedules(done)
        self._changed.set()

    async def step(self) -> None:
        """Fire what is due, then wait for the next time, or a new generation, or a few seconds."""
        all_fired = await self.fire_due()
        await self._sleep(0.0 if all_fired else _STORE_PAUSE)

    async def fire_due(self) -> bool:
        """Fire what is due now; False when something was not taken and stays due."""
        now = self._now()
        due = self._book.due(now)
        for firing in due.missed:
            self._miss(firing, f"late by {now - firing.time:.0f} s")
        return all([await self._fire(firing) for firing in due.firings])

    async def _fire(self, firing: Firing) -> bool:
        payload = event_payload(firing, region=self._box.region, account=self._box.account)
        trace = self._ids.trace(self._now())
        call = Call(self._ids.request_id(), trace, bare_context(trace), payload)
        event = QueuedEvent(firing.schedule.function, call, self._now())
        try:
            taken = await self._events.fire(firing.schedule.key, firing.time, event)
        except CallError as error:
            self._log.warning("schedule not fired yet", function=firing.schedule.function, reason=str(error))
            return False
        self._book.settle(firing)
        if not taken:
            return True
        self._stats.schedules_fired += 1
        self._log.info(
            "schedule fired",
            function=firing.schedule.function,
            expression=firing.schedule.expression,
            request_id=call.request_id,
            trace_id=trace,
        )
        return True

    def _miss(self, firing: Firing, reason: str) -> None:
        self._stats.schedules_missed += 1
        self._log.warning(
            "schedule missed",
            function=firing.schedule.function,
            expression=firing.schedule.expression,
            reason=reason,
        )

    async def _sleep(self, at_least: float) -> None:
        due = self._book.next_time()
        wait = _LONGEST_SLEEP if due is None else min(max(due - self._now(), at_least), _LONGEST_SLEEP)
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()
