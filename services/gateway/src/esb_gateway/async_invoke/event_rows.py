"""Rows of the database: events accepted, and events given up. Times are seconds since the epoch."""

from __future__ import annotations

from attrs import field, frozen

from esb_gateway.workers.invoker import Call


@frozen
class StoredEvent:
    """A row of `events`, without its body.

    `attempts` counts the function's own failures, `setbacks` those of the box since then.
    """

    seq: int
    request_id: str
    function: str
    qualifier: str | None
    trace: str
    client_context: str
    accepted: float
    attempts: int = 0
    setbacks: int = 0
    next_at: float = 0.0
    destination: bool = field(default=False, converter=bool)

    def call(self, body: bytes) -> Call:
        """Return the invocation to make."""
        return Call(self.request_id, self.trace, self.client_context, body)


@frozen
class Grave:
    """Why and when an event was given up; `answer` is what its function said last, if it said anything."""

    failed_at: float
    condition: str
    error: str
    answer: bytes | None = None


@frozen
class DeadLetter:
    """A row of `dead_letters`; `body` and `answer` are None where they were not asked for."""

    seq: int
    request_id: str
    function: str
    qualifier: str | None
    trace: str
    accepted: float
    failed_at: float
    attempts: int
    condition: str
    error: str
    body: bytes | None = None
    answer: bytes | None = None
