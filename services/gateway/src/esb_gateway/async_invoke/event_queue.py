"""Where invocations go that nobody waits for: the events, and the port that the doors see of the queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import frozen

from esb_gateway.workers.invoker import Call


@frozen
class QueuedEvent:
    """One invocation to be made later; `accepted` is seconds since the epoch.

    `destination` marks the record of an event that failed: when its own delivery fails, it is not passed on
    once more.
    """

    function: str
    call: Call
    accepted: float
    qualifier: str | None = None
    destination: bool = False


class EventQueue(Protocol):
    """What the doors, the scheduler and the metrics need of it."""

    @property
    def pending(self) -> int:
        """Accepted and not yet brought to an end."""

    @property
    def oldest_age(self) -> float:
        """Seconds since the oldest of them was accepted, 0 when there is none."""

    def pending_by_function(self) -> Mapping[str, int]:
        """How many of them each function has."""

    @property
    def schedules_done(self) -> Mapping[str, float]:
        """Up to which moment the times of schedules are done, as an earlier run left it."""

    def keep_schedules(self, done: Mapping[str, float]) -> None:
        """Know these schedules from now on, and no others."""

    async def accept(self, event: QueuedEvent) -> None:
        """Take an event; returns when it is on disk.

        Raises:
            ThrottledError: there is no room.
            InfrastructureError: it could not be stored.
        """

    async def fire(self, schedule: str, moment: float, event: QueuedEvent) -> bool:
        """Take the event of a schedule's time, once: False when that time, or a later one, was taken before.

        Raises:
            ThrottledError: there is no room.
            InfrastructureError: it could not be stored.
        """
