"""The schedules of a generation: what is due when, and what the function gets.

Rules. A time fires once: up to which moment a schedule's times are done is on disk, so that neither a
reload nor a restart nor a clock set back (by less than a day) fires one again. A schedule that a new
generation brings, or enables, starts with its next time; one that it keeps goes on where it was. Of the times
that passed while the box was down, asleep or its disk full, the latest one fires, once, when it is at most
`grace` seconds old; the others are missed. Runs may overlap: a run doesn't wait for the one before it.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property

import orjson
from attrs import define, frozen

from esb_gateway.async_invoke.event_store import CLOCK_SLIP_SECONDS
from esb_gateway.scheduling.expressions import Times

GRACE_SECONDS = 300.0


@frozen
class Schedule:
    """One schedule of one function; `input` is the event as JSON text, None stands for EventBridge's."""

    function: str
    expression: str
    times: Times
    input: str | None = None
    timezone: str = ""
    name: str = ""

    @cached_property
    def key(self) -> str:
        """What makes it the same schedule in the next generation, and after a restart."""
        parts = json.dumps([self.expression, self.input, self.timezone, self.name]).encode()
        return f"{self.function}/{hashlib.sha256(parts).hexdigest()[:24]}"


@frozen
class Firing:
    """A schedule whose time has come."""

    schedule: Schedule
    time: float


@frozen
class Due:
    """What `due` found: to be fired now, and the first time of each schedule that is passed over."""

    firings: tuple[Firing, ...]
    missed: tuple[Firing, ...]


@define
class _Page:
    schedule: Schedule
    done: float
    due: float | None


class ScheduleBook:
    """Knows the next time of each schedule. Does no waiting; times are seconds since the epoch."""

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._pages: dict[str, _Page] = {}

    def __len__(self) -> int:
        return len(self._pages)

    def replace(
        self, schedules: Iterable[Schedule], now: float, stored: Mapping[str, float] | None = None
    ) -> dict[str, float]:
        """Take over the schedules of a new generation; return up to which moment each one's times are done.

        `stored` has those moments from an earlier run.
        """
        before, self._pages = self._pages, {}
        for schedule in schedules:
            known = before.get(schedule.key)
            done = known.done if known else (stored or {}).get(schedule.key, now)
            due = known.due if known else schedule.times.next_after(done)
            self._pages[schedule.key] = _Page(schedule, done, due)
        return {key: page.done for key, page in self._pages.items()}

    def next_time(self) -> float | None:
        """Return when the next schedule is due."""
        return min((page.due for page in self._pages.values() if page.due is not None), default=None)

    def due(self, now: float) -> Due:
        """Return what has become due, each schedule at most once. Firings stay due until `settle`."""
        firings: list[Firing] = []
        missed: list[Firing] = []
        for page in self._pages.values():
            if page.done > now + CLOCK_SLIP_SECONDS:  # the clock was wrong before
                page.done, page.due = now, page.schedule.times.next_after(now)
            if page.due is None or page.due > now:
                continue
            first, page.due = page.due, self._latest(page, page.due, now)
            if first != page.due:
                missed.append(Firing(page.schedule, first))
            if page.due is not None and page.due <= now:
                firings.append(Firing(page.schedule, page.due))
        return Due(tuple(firings), tuple(missed))

    def settle(self, firing: Firing) -> None:
        """A time is done; go on to the next."""
        page = self._pages.get(firing.schedule.key)
        if page is not None and page.due == firing.time:
            page.done, page.due = firing.time, page.schedule.times.next_after(firing.time)

    def _latest(self, page: _Page, due: float, now: float) -> float | None:
        """The last time up to `now` that is not too old, else the next one."""
        times = page.schedule.times
        found = due if now - due <= self._grace else times.next_after(now - self._grace)
        while found is not None and found <= now:
            following = times.next_after(found)
            if following is None or following > now:
                break
            found = following
        return found


def event_payload(
    firing: Firing, *, region: str, account: str, new_id: Callable[[], str] = lambda: str(uuid.uuid4())
) -> bytes:
    """Return what the function gets: its `input`, or the event that EventBridge sends for a schedule."""
    schedule = firing.schedule
    if schedule.input is not None:
        return schedule.input.encode()
    moment = datetime.fromtimestamp(firing.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {
        "version": "0",
        "id": new_id(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account,
        "time": moment,
        "region": region,
        "resources": [f"arn:aws:events:{region}:{account}:rule/{schedule.name or schedule.function}"],
        "detail": {},
    }
    return orjson.dumps(event)
