"""`/metrics`: the counters of stats.py and the sizes of the pools, in Prometheus' text format.

Nothing is updated per call here: a scrape reads what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.types import Receive, Scope, Send

from esb_gateway.asgi import respond
from esb_gateway.async_invoke.event_queue import EventQueue
from esb_gateway.stats import DURATION_BUCKETS, INIT_BUCKETS, GatewayStats
from esb_gateway.workers.fleet import Fleet
from esb_gateway.workers.prefetch import Prefetch

_PER_FUNCTION = (
    ("invocations", "Calls of the function, throttled ones included."),
    ("errors", "Calls that the function answered with an error."),
    ("failures", "Calls that the box could not bring to an end."),
    ("throttles", "Calls turned away because no worker was free."),
    ("cold_starts", "Workers started because a call waited."),
    ("workers_lost", "Workers that ended in or between calls without being asked to."),
    ("adopted", "Live workers of an earlier run that were taken over."),
    ("resumes", "Paused workers that were resumed for a call."),
)
_EVENT_OUTCOMES = ("accepted", "delivered", "failed", "retried", "dead")
_OVERALL = (
    ("reloads", "Generations taken into service."),
    ("reload_failures", "Generations refused."),
    ("events_accepted", "Invocations accepted for later."),
    ("events_delivered", "Accepted invocations that reached their function."),
    ("events_retried", "Times that an accepted invocation was put off to be tried again."),
    ("events_dead", "Accepted invocations given up and kept as dead letters."),
    ("events_replayed", "Dead letters made events again."),
    ("events_redirected", "Accepted invocations given up whose record went to an on-failure function."),
    ("event_store_failures", "Times that the database of accepted invocations took no write."),
    ("schedules_fired", "Schedules that came due and were fired."),
    ("schedules_missed", "Schedules that came due and were passed over."),
)
_POOL_STATES = ("idle", "paused", "busy", "starting")


class GatewayCollector(Collector):
    """Reads the gateway's state at a scrape."""

    def __init__(
        self,
        stats: GatewayStats,
        fleet: Fleet,
        events: EventQueue,
        prefetch: Prefetch | None,
        monotonic: Callable[[], float],
    ) -> None:
        self._monotonic = monotonic
        self._stats = stats
        self._fleet = fleet
        self._events = events
        self._prefetch = prefetch

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        functions = self._stats.functions.items()
        for name, text in _PER_FUNCTION:
            counter = CounterMetricFamily(f"esb_gateway_{name}", text, labels=["function"])
            for function, stats in functions:
                counter.add_metric([function], getattr(stats, name))
            yield counter
        histogram = HistogramMetricFamily(
            "esb_gateway_duration_seconds", "Time from accepting a call to its answer.", labels=["function"]
        )
        starts = HistogramMetricFamily(
            "esb_gateway_init_seconds", "Time until a started worker could take a call.", labels=["function"]
        )
        for function, stats in functions:
            histogram.add_metric([function], _cumulative(DURATION_BUCKETS, stats.buckets), stats.duration_sum)
            starts.add_metric([function], _cumulative(INIT_BUCKETS, stats.init_buckets), stats.init_sum)
        yield histogram
        yield starts
        for name, text in _OVERALL:
            yield CounterMetricFamily(f"esb_gateway_{name}", text, value=getattr(self._stats, name))
        yield from self._pools()
        yield from self._events_of_functions()

    def _pools(self) -> Iterator[Metric]:
        workers = GaugeMetricFamily("esb_gateway_workers", "Workers now.", labels=["function", "state"])
        limits = GaugeMetricFamily("esb_gateway_workers_max", "Workers at most.", labels=["function"])
        waiting = GaugeMetricFamily(
            "esb_gateway_queue_depth", "Calls waiting for a worker.", labels=["function"]
        )
        age = GaugeMetricFamily(
            "esb_gateway_queue_age_seconds", "How long the first in line has waited.", labels=["function"]
        )
        breakers = GaugeMetricFamily(
            "esb_gateway_breaker_open", "1 while a function's calls are turned away.", labels=["function"]
        )
        trips = CounterMetricFamily(
            "esb_gateway_breaker_trips", "Times a function's breaker opened.", labels=["function"]
        )
        now = self._monotonic()
        for function, pool in self._fleet.pools.items():
            for state in _POOL_STATES:
                workers.add_metric([function, state], getattr(pool, state))
            limits.add_metric([function], pool.limits.max)
            waiting.add_metric([function], pool.waiting)
            since = pool.waiting_since
            age.add_metric([function], 0.0 if since is None else now - since)
            breakers.add_metric([function], float(pool.breaker.tripped))
            trips.add_metric([function], pool.breaker.trips)
        yield from (workers, limits, waiting, age, breakers, trips)
        yield GaugeMetricFamily(
            "esb_gateway_agent_up", "1 while the agent answers.", value=float(self._fleet.agent_up)
        )
        yield GaugeMetricFamily(
            "esb_gateway_pools_draining", "Pools of earlier generations.", value=len(self._fleet.draining)
        )
        if self._prefetch:
            yield GaugeMetricFamily(
                "esb_gateway_images_missing",
                "Images of functions that the agent has not yet at hand.",
                value=len(self._prefetch.missing),
            )

    def _events_of_functions(self) -> Iterator[Metric]:
        events = self._events
        yield GaugeMetricFamily(
            "esb_gateway_events_pending", "Accepted invocations not yet delivered.", value=events.pending
        )
        yield GaugeMetricFamily(
            "esb_gateway_events_oldest_age_seconds", "Age of the oldest of them.", value=events.oldest_age
        )
        outcomes = CounterMetricFamily(
            "esb_gateway_function_events",
            "Accepted invocations of the function, by what became of them.",
            labels=["function", "outcome"],
        )
        for function, stats in self._stats.functions.items():
            for outcome in _EVENT_OUTCOMES:
                count = getattr(stats, f"events_{outcome}")
                if count:
                    outcomes.add_metric([function, outcome], count)
        waiting = GaugeMetricFamily(
            "esb_gateway_function_events_pending",
            "Accepted invocations of the function not yet delivered.",
            labels=["function"],
        )
        for function, number in events.pending_by_function().items():
            waiting.add_metric([function], number)
        yield from (outcomes, waiting)


class MetricsEndpoint:
    """ASGI endpoint of `/metrics`."""

    def __init__(self, collector: GatewayCollector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a scrape."""
        content_type = (b"content-type", CONTENT_TYPE_LATEST.encode("ascii"))
        await respond(send, 200, [content_type], generate_latest(self._registry))


def _cumulative(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    total, buckets = 0, []
    for bound, count in zip([*map(str, bounds), "+Inf"], counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
