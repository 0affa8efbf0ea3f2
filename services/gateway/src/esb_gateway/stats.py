"""Plain counters of one function, added to on the hot path and read when /metrics is asked for."""

from __future__ import annotations

from bisect import bisect_left

from attrs import define, field

INIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@define
class FunctionStats:
    """Everything counts up and survives a reload; durations are seconds, last bucket is +Inf."""

    invocations: int = 0
    errors: int = 0
    failures: int = 0
    throttles: int = 0
    cold_starts: int = 0
    workers_lost: int = 0
    adopted: int = 0
    resumes: int = 0
    events_accepted: int = 0
    events_delivered: int = 0
    events_failed: int = 0
    events_retried: int = 0
    events_dead: int = 0
    duration_sum: float = 0.0
    buckets: list[int] = field(factory=lambda: [0] * (len(DURATION_BUCKETS) + 1))

    init_sum: float = 0.0
    init_buckets: list[int] = field(factory=lambda: [0] * (len(INIT_BUCKETS) + 1))

    def observe(self, seconds: float) -> None:
        """Count one finished call into the histogram."""
        self.duration_sum += seconds
        self.buckets[bisect_left(DURATION_BUCKETS, seconds)] += 1

    def observe_init(self, seconds: float) -> None:
        """Count one worker that came up into its histogram."""
        self.init_sum += seconds
        self.init_buckets[bisect_left(INIT_BUCKETS, seconds)] += 1


@define
class GatewayStats:
    """Counters of the gateway as a whole, and those of each function by name."""

    reloads: int = 0
    reload_failures: int = 0
    events_accepted: int = 0
    events_delivered: int = 0
    events_retried: int = 0
    events_dead: int = 0
    events_replayed: int = 0
    events_redirected: int = 0
    event_store_failures: int = 0
    schedules_fired: int = 0
    schedules_missed: int = 0
    functions: dict[str, FunctionStats] = field(factory=dict)

    def of(self, function: str) -> FunctionStats:
        """Return the counters of a function, made on first use."""
        stats = self.functions.get(function)
        if stats is None:
            stats = self.functions[function] = FunctionStats()
        return stats
