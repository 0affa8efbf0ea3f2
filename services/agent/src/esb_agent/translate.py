"""Between the wire's messages and our values; nothing is decided here."""

from esb_agent_api import agent_pb2

from esb_agent.fleet import Health
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerMetrics, WorkerState

STATES = {
    WorkerState.STARTING: agent_pb2.WORKER_STATE_STARTING,
    WorkerState.READY: agent_pb2.WORKER_STATE_READY,
    WorkerState.BUSY: agent_pb2.WORKER_STATE_BUSY,
    WorkerState.PAUSED: agent_pb2.WORKER_STATE_PAUSED,
    WorkerState.EXITED: agent_pb2.WORKER_STATE_EXITED,
}


def to_identity(request: agent_pb2.EnsureWorkerRequest) -> Identity:
    """Whose worker, and which."""
    return Identity(owner_id=request.owner_id, worker_id=request.worker_id, fingerprint=request.fingerprint)


def to_spec(message: agent_pb2.FunctionSpec) -> FunctionSpec:
    """What to run."""
    return FunctionSpec(
        name=message.name,
        image=message.image,
        handler=message.handler,
        runtime=message.runtime,
        timeout_ms=message.timeout_ms,
        memory_mb=message.memory_mb,
        environment=dict(message.environment),
        cmd=tuple(message.cmd),
        sandbox=message.sandbox,
    )


def from_worker(worker: Worker) -> agent_pb2.Worker:
    """A worker as it stands."""
    return agent_pb2.Worker(
        worker_id=worker.identity.worker_id,
        owner_id=worker.identity.owner_id,
        function=worker.function,
        image=worker.image,
        state=STATES[worker.state],
        address=worker.address,
        created_unix_ms=worker.created_unix_ms,
        exit_reason=worker.exit_reason,
        fingerprint=worker.identity.fingerprint,
        init_ms=worker.init_ms,
    )


def from_metrics(worker_id: str, metrics: WorkerMetrics) -> agent_pb2.GetWorkerMetricsResponse:
    """What a worker uses."""
    return agent_pb2.GetWorkerMetricsResponse(
        worker_id=worker_id,
        rss_bytes=metrics.rss_bytes,
        rss_peak_bytes=metrics.rss_peak_bytes,
        cpu_seconds=metrics.cpu_seconds,
        uptime_seconds=metrics.uptime_seconds,
        invocations=metrics.invocations,
        errors=metrics.errors,
        processes=metrics.processes,
    )


def from_health(health: Health, version: str) -> agent_pb2.HealthResponse:
    """How the agent is."""
    return agent_pb2.HealthResponse(
        serving=health.serving,
        driver=health.driver,
        version=version,
        workers=health.workers,
        problems=health.problems,
    )
