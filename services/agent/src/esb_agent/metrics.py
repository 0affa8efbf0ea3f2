"""Prometheus metrics of all workers, on a loopback port, when one is configured."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from esb_agent.drivers.port import Driver
from esb_agent.errors import AgentError, ConfigError
from esb_agent.http_connection import Clients, Peer, Request
from esb_agent.model import Worker, WorkerMetrics
from esb_agent.tally import Tally

PLAIN = b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
LABELS = ("function", "worker")
Sample = tuple[Worker, WorkerMetrics]


class Totals(Collector):
    """What was counted since the agent's start."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterable[Metric]:
        """One family a figure."""
        tally = self._tally
        starts = CounterMetricFamily(
            "esb_agent_worker_starts", "Starts by outcome", labels=("function", "outcome")
        )
        ended = CounterMetricFamily(
            "esb_agent_workers_ended", "Workers that ended, by cause", labels=("function", "cause")
        )
        calls = CounterMetricFamily("esb_agent_calls", "Calls handed to workers", labels=("function",))
        for family, counts in ((starts, tally.starts), (ended, tally.ended)):
            for labels, count in counts.items():
                family.add_metric(labels, count)
        for function, count in tally.calls.items():
            calls.add_metric((function,), count)
        collected = CounterMetricFamily(
            "esb_agent_workers_collected", "Workers ended for their owner's silence", value=tally.collected
        )
        lines = CounterMetricFamily(
            "esb_agent_log_lines", "Lines shipped, and lines lost on the way", labels=("outcome",)
        )
        lines.add_metric(("shipped",), tally.logs_shipped)
        lines.add_metric(("dropped",), tally.logs_dropped)
        return starts, ended, calls, collected, lines, *tally.init_seconds.collect()


class Snapshot(Collector):
    """What was measured at one moment."""

    def __init__(self, workers: Sequence[Worker], samples: Sequence[Sample]) -> None:
        self._workers = workers
        self._samples = samples

    def collect(self) -> Iterable[Metric]:
        """One family a figure."""
        states = GaugeMetricFamily("esb_agent_workers", "Workers by state", labels=("function", "state"))
        for (function, state), count in Counter((w.function, w.state.value) for w in self._workers).items():
            states.add_metric((function, state), count)
        rss = GaugeMetricFamily("esb_worker_resident_bytes", "Resident memory", labels=LABELS)
        processes = GaugeMetricFamily("esb_worker_processes", "Processes", labels=LABELS)
        cpu = CounterMetricFamily("esb_worker_cpu_seconds", "CPU time", labels=LABELS)
        calls = CounterMetricFamily("esb_worker_invocations", "Calls handed to the worker", labels=LABELS)
        errors = CounterMetricFamily("esb_worker_errors", "Of these, answered with an error", labels=LABELS)
        for worker, measured in self._samples:
            labels = (worker.function, worker.identity.worker_id)
            rss.add_metric(labels, measured.rss_bytes)
            processes.add_metric(labels, measured.processes)
            cpu.add_metric(labels, measured.cpu_seconds)
            calls.add_metric(labels, measured.invocations)
            errors.add_metric(labels, measured.errors)
        return states, rss, processes, cpu, calls, errors


async def measure(driver: Driver, tally: Tally) -> bytes:
    """The exposition text."""
    workers = await driver.list_workers()
    samples: list[Sample] = []
    for worker in workers:
        try:
            samples.append((worker, await driver.metrics(worker.identity.worker_id)))
        except AgentError:
            # It has exited: it counts among the states, and uses nothing.
            continue
    registry = CollectorRegistry()
    registry.register(Snapshot(workers, samples))
    registry.register(Totals(tally))
    return generate_latest(registry)


class MetricsApi:
    """`GET /metrics`."""

    def __init__(self, driver: Driver, tally: Tally) -> None:
        self._driver = driver
        self._tally = tally
        self._tasks: set[asyncio.Task[None]] = set()

    def on_request(self, peer: Peer, request: Request) -> None:
        """Measure, then answer."""
        if (request.method, request.path) != (b"GET", b"/metrics"):
            peer.answer(404, PLAIN, b"GET /metrics\n")
            return
        task = asyncio.create_task(self._answer(peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, peer: Peer) -> None:
        peer.answer(200, PLAIN, await measure(self._driver, self._tally))

    def on_oversized(self, peer: Peer, request: Request) -> None:
        """Nobody sends metrics here."""
        peer.answer(413, PLAIN, b"GET /metrics\n")

    def on_gone(self, peer: Peer) -> None:
        """Nothing to forget."""


async def serve_metrics(driver: Driver, tally: Tally, port: int) -> asyncio.Server:
    """Serve on 127.0.0.1. Raises ConfigError when the port is taken."""
    clients = Clients(MetricsApi(driver, tally), 0)
    try:
        return await asyncio.get_running_loop().create_server(clients.connection, "127.0.0.1", port)
    except OSError as error:
        raise ConfigError(
            f"ESB_AGENT_METRICS_PORT: port {port} cannot be listened on: {error.strerror}"
        ) from error
