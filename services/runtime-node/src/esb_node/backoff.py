"""How long to wait before a crashed service starts again: doubling pauses, forgotten after a healthy time."""

from __future__ import annotations

from attrs import frozen

FIRST_SECONDS = 0.25
LONGEST_SECONDS = 30.0
HEALTHY_SECONDS = 10.0


@frozen
class Backoff:
    """The pauses after 1, 2, 3… failures in a row: `first`, twice that, … up to `longest` seconds."""

    first: float = FIRST_SECONDS
    longest: float = LONGEST_SECONDS
    healthy: float = HEALTHY_SECONDS

    def pause(self, failures: int) -> float:
        """Seconds to wait after the given number of failures in a row (at least 1)."""
        return min(self.first * 2.0 ** min(failures - 1, 30), self.longest)

    def failures_after(self, failures: int, ready_seconds: float) -> int:
        """Failures in a row with the present one; 1 after a service was ready for long enough."""
        return 1 if ready_seconds >= self.healthy else failures + 1
