"""The schedules of a generation: what is due when, and what the function gets.

Rules. A time fires once: what has fired, or was passed over, stays so across reloads. A schedule that a new
generation brings starts with its next time; one that it keeps goes on where it was. Times that passed while
the box was down, asleep or stuck for more than a minute are not made up for. Runs may overlap: a run doesn't
wait for the one before it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

import orjson
from attrs import frozen

from esb_gateway.scheduling.cron import Times

LATE_SECONDS = 60.0


@frozen
class Schedule:
    """One schedule of one function; `input` is the event as JSON text, None stands for EventBridge's."""

    function: str
    expression: str
    times: Times
    input: str | None = None

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What makes it the same schedule in the next generation."""
        return (self.function, self.expression, self.input)


@frozen
class Firing:
    """A schedule whose time has come."""

    schedule: Schedule
    time: float


@frozen
class Due:
    """What `take_due` found: to be fired now, and passed over because it is too late."""

    firings: tuple[Firing, ...]
    missed: tuple[Firing, ...]


class ScheduleBook:
    """Knows the next time of each schedule. Does no waiting; times are seconds since the epoch."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, str, str | None], tuple[Schedule, float | None]] = {}

    def __len__(self) -> int:
        return len(self._next)

    def replace(self, schedules: Iterable[Schedule], now: float) -> None:
        """Take over the schedules of a new generation."""
        before, self._next = self._next, {}
        for schedule in schedules:
            known = before.get(schedule.key)
            due = known[1] if known else schedule.times.next_after(now)
            self._next[schedule.key] = (schedule, due)

    def next_time(self) -> float | None:
        """Return when the next schedule is due."""
        return min((due for _, due in self._next.values() if due is not None), default=None)

    def take_due(self, now: float) -> Due:
        """Return what has become due, each schedule at most once, and move those schedules on."""
        firings: list[Firing] = []
        missed: list[Firing] = []
        for key, (schedule, due) in self._next.items():
            if due is None or due > now:
                continue
            (firings if now - due <= LATE_SECONDS else missed).append(Firing(schedule, due))
            self._next[key] = (schedule, schedule.times.next_after(max(now, due)))
        return Due(tuple(firings), tuple(missed))


def event_payload(
    firing: Firing, *, region: str, account: str, new_id: Callable[[], str] = lambda: str(uuid.uuid4())
) -> bytes:
    """Return what the function gets: its `input`, or the event that EventBridge sends for a schedule."""
    if firing.schedule.input is not None:
        return firing.schedule.input.encode()
    moment = datetime.fromtimestamp(firing.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    rule = f"arn:aws:events:{region}:{account}:rule/{firing.schedule.function}"
    event = {
        "version": "0",
        "id": new_id(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account,
        "time": moment,
        "region": region,
        "resources": [rule],
        "detail": {},
    }
    return orjson.dumps(event)
