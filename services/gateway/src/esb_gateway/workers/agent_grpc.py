"""The agent over gRPC: with agent_channel.py the only module that imports grpc.

Translates in, calls, translates out; a status becomes one of the errors of agent.py.
"""

from __future__ import annotations

import grpc
import grpc.aio
from esb_agent_api import agent_pb2, agent_pb2_grpc

from esb_gateway.workers.agent import (
    AgentError,
    AgentHealth,
    AgentRefusedError,
    AgentUnavailableError,
    InitFailedError,
    WorkerInfo,
    WorkerSpec,
    WorkerState,
    WorkerUsage,
)
from esb_gateway.workers.agent_channel import AgentChannel, AgentTls

_ENSURE_SECONDS = 60.0  # a cold start with a large package; the agent has its own, shorter limit
_IMAGE_SECONDS = 600.0  # nobody waits for it; given up, it goes on, and the next one joins it
_OTHER_SECONDS = 10.0
_RESUME_SECONDS = 2.0  # a call waits for it; a worker that does not thaw is replaced
_HEALTH_SECONDS = 1.0
_UNREACHED = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
)
_STATES = {
    agent_pb2.WORKER_STATE_STARTING: WorkerState.STARTING,
    agent_pb2.WORKER_STATE_READY: WorkerState.READY,
    agent_pb2.WORKER_STATE_BUSY: WorkerState.BUSY,
    agent_pb2.WORKER_STATE_PAUSED: WorkerState.PAUSED,
}


class GrpcAgent:
    """`Agent` over one channel, for one owner."""

    def __init__(self, address: str, owner_id: str, tls: AgentTls | None = None) -> None:
        self._channel = AgentChannel(address, tls)
        self._owner = owner_id

    @property
    def _stub(self) -> agent_pb2_grpc.AgentStub:
        return self._channel.stub

    async def ensure_image(self, image: str, sandbox: str) -> None:
        """Return when workers can be started from it without its registry."""
        request = agent_pb2.EnsureImageRequest(owner_id=self._owner, image=image, sandbox=sandbox)
        try:
            await self._stub.EnsureImage(request, timeout=_IMAGE_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from error

    async def ensure(self, worker_id: str, spec: WorkerSpec) -> WorkerInfo:
        """Return when the worker can take a call."""
        request = agent_pb2.EnsureWorkerRequest(
            owner_id=self._owner,
            worker_id=worker_id,
            fingerprint=spec.fingerprint(),
            spec=agent_pb2.FunctionSpec(
                name=spec.function,
                image=spec.image,
                handler=spec.handler,
                runtime=spec.runtime,
                timeout_ms=spec.timeout_ms,
                memory_mb=spec.memory_mb,
                environment=dict(spec.environment),
                sandbox=spec.sandbox,
            ),
        )
        try:
            response = await self._stub.EnsureWorker(request, timeout=_ENSURE_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _translated(error, initialising=True) from error
        return _info(response.worker)

    async def destroy(self, worker_id: str) -> None:
        """End the worker; one that is already gone is no error."""
        request = agent_pb2.DestroyWorkerRequest(owner_id=self._owner, worker_id=worker_id)
        try:
            await self._stub.DestroyWorker(request, timeout=_OTHER_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise _translated(error) from error

    async def list(self) -> tuple[WorkerInfo, ...]:
        """Return this owner's workers."""
        request = agent_pb2.ListWorkersRequest(owner_id=self._owner)
        try:
            response = await self._stub.ListWorkers(request, timeout=_OTHER_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from error
        return tuple(_info(worker) for worker in response.workers)

    async def pause(self, worker_id: str) -> None:
        """Freeze an idle worker."""
        request = agent_pb2.PauseWorkerRequest(owner_id=self._owner, worker_id=worker_id)
        try:
            await self._stub.PauseWorker(request, timeout=_OTHER_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from error

    async def resume(self, worker_id: str) -> None:
        """Let a frozen worker run."""
        request = agent_pb2.ResumeWorkerRequest(owner_id=self._owner, worker_id=worker_id)
        try:
            await self._stub.ResumeWorker(request, timeout=_RESUME_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from error

    async def usage(self, worker_id: str) -> WorkerUsage:
        """Ask what a worker takes."""
        request = agent_pb2.GetWorkerMetricsRequest(owner_id=self._owner, worker_id=worker_id)
        try:
            found = await self._stub.GetWorkerMetrics(request, timeout=_HEALTH_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from error
        return WorkerUsage(
            rss_bytes=found.rss_bytes,
            rss_peak_bytes=found.rss_peak_bytes,
            cpu_seconds=found.cpu_seconds,
            uptime_seconds=found.uptime_seconds,
            invocations=found.invocations,
            errors=found.errors,
            processes=found.processes,
        )

    async def health(self) -> AgentHealth:
        """Ask the agent; waits one second at most."""
        request = agent_pb2.HealthRequest(owner_id=self._owner)
        try:
            response = await self._stub.Health(request, timeout=_HEALTH_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from error
        return AgentHealth(
            serving=response.serving, driver=response.driver, problems=tuple(response.problems)
        )

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


def _info(worker: agent_pb2.Worker) -> WorkerInfo:
    return WorkerInfo(
        worker_id=worker.worker_id,
        function=worker.function,
        address=worker.address,
        fingerprint=worker.fingerprint,
        state=_STATES.get(worker.state, WorkerState.EXITED),
        created=worker.created_unix_ms / 1000,
    )


def _translated(error: grpc.aio.AioRpcError, *, initialising: bool = False) -> AgentError:
    code, details = error.code(), error.details() or ""
    if code in _UNREACHED:
        return AgentUnavailableError(f"the agent does not answer: {details or code.name}")
    if initialising and code is grpc.StatusCode.FAILED_PRECONDITION:
        return InitFailedError(details.encode())
    return AgentRefusedError(f"{code.name}: {details}")
