"""Stops sending calls to a function whose workers the box cannot give or keep.

    closed ─5 failures in a row▶ open (5 s, doubling to 60 s) ─over▶ half open: one probe ─▶ closed | open

Only the box's own failures count: a worker lost, not reached, or not to be had. A function's errors, timeouts
and throttles never do. Calls that were under way together count once: an agent that restarts breaks all of
them at the same moment, and that is one fault, not thirty.
"""

from __future__ import annotations

from collections.abc import Callable

from esb_gateway.errors import CircuitOpenError

FAILURES = 5
FIRST_SECONDS = 5.0
LONGEST_SECONDS = 60.0


class Breaker:
    """One function's breaker. `seen` of a call is `failures` at the time it began."""

    __slots__ = ("_monotonic", "_period", "_probing", "_until", "failures", "trips")

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._period = FIRST_SECONDS
        self._until = 0.0
        self._probing = False
        self.failures = 0
        self.trips = 0

    @property
    def tripped(self) -> bool:
        """True while calls are turned away, but for a probe."""
        return self.failures >= FAILURES

    @property
    def state(self) -> str:
        """`closed`, `open` or `half_open`."""
        if not self.tripped:
            return "closed"
        return "half_open" if self._probing or self._monotonic() >= self._until else "open"

    def admit(self) -> int:
        """Return what the call has to hand to the methods below.

        Raises:
            CircuitOpenError: the breaker is open, or another call is its probe.
        """
        if self.failures >= FAILURES:
            left = self._until - self._monotonic()
            if self._probing or left > 0:
                raise CircuitOpenError(
                    f"no calls for now: {self.failures} in a row failed for the box's reasons",
                    retry_after=max(1, round(left)),
                )
            self._probing = True
        return self.failures

    def succeeded(self) -> None:
        """A worker answered: whatever was wrong is over."""
        self.failures = 0
        self._probing = False
        self._period = FIRST_SECONDS

    def failed(self, seen: int) -> None:
        """The box failed a call; no news when another failure was counted since it began."""
        if seen != self.failures:
            return
        self.failures += 1
        if self.failures >= FAILURES:
            self.trips += 1
            self._probing = False
            self._until = self._monotonic() + self._period
            self._period = min(self._period * 2, LONGEST_SECONDS)

    def undecided(self, seen: int) -> None:
        """A call ended without telling anything about the workers; if it was the probe, the next is."""
        if seen == self.failures:
            self._probing = False

    def try_now(self) -> None:
        """What was wrong may be over: let the next call be the probe."""
        self._until = 0.0
        self._period = FIRST_SECONDS
