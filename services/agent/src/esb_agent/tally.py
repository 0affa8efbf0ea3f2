"""What is counted over the agent's whole life, for its metrics: workers come and go, these only grow."""

from collections import Counter

from prometheus_client import Histogram

INIT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Tally:
    """Kept by the fleet and the driver, read at a scrape.

    `starts` by function and outcome (`ready`, `init_failed`, `failed`), `ended` by function and cause
    (`timeout`, `oom`, `exit`, `destroyed`), `calls` by function; `collected`: workers ended for
    their owner's silence; `logs_shipped` and `logs_dropped`: lines.
    """

    def __init__(self) -> None:
        self.starts: Counter[tuple[str, str]] = Counter()
        self.ended: Counter[tuple[str, str]] = Counter()
        self.calls: Counter[str] = Counter()
        self.collected = 0
        self.logs_shipped = 0
        self.logs_dropped = 0
        self.init_seconds = Histogram(
            "esb_agent_init_seconds",
            "From start to ready",
            ("function",),
            buckets=INIT_BUCKETS,
            registry=None,
        )
