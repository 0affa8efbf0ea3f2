import asyncio
from collections.abc import AsyncIterator

import grpc
import grpc.aio
import pytest
from esb_agent_api import agent_pb2, agent_pb2_grpc
from esb_gateway.workers.agent import (
    AgentHealth,
    AgentRefusedError,
    AgentUnavailableError,
    InitFailedError,
    WorkerInfo,
    WorkerSpec,
    WorkerState,
    WorkerUsage,
)
from esb_gateway.workers.agent_grpc import GrpcAgent

SPEC = WorkerSpec("f", "f:1", "app.handler", "python3.12", 3000, 256, (("A", "1"),), "gvisor")


class StubAgent(agent_pb2_grpc.AgentServicer):
    """Answers as told; keeps what was asked."""

    def __init__(self) -> None:
        self.requests: list[object] = []
        self.refuse: tuple[grpc.StatusCode, str] | None = None

    async def _take(self, request, context) -> None:
        self.requests.append(request)
        if self.refuse is not None:
            await context.abort(*self.refuse)

    async def EnsureWorker(self, request, context):
        await self._take(request, context)
        worker = agent_pb2.Worker(
            worker_id=request.worker_id,
            owner_id=request.owner_id,
            function=request.spec.name,
            address="unix:/w",
            fingerprint=request.fingerprint,
            state=agent_pb2.WORKER_STATE_READY,
        )
        return agent_pb2.EnsureWorkerResponse(worker=worker, created=True)

    async def DestroyWorker(self, request, context):
        await self._take(request, context)
        return agent_pb2.DestroyWorkerResponse(existed=True)

    async def ListWorkers(self, request, context):
        await self._take(request, context)
        states = (agent_pb2.WORKER_STATE_BUSY, agent_pb2.WORKER_STATE_EXITED)
        return agent_pb2.ListWorkersResponse(
            workers=[agent_pb2.Worker(worker_id=f"w{state}", function="f", state=state) for state in states]
        )

    async def PauseWorker(self, request, context):
        await self._take(request, context)
        return agent_pb2.PauseWorkerResponse()

    async def ResumeWorker(self, request, context):
        await self._take(request, context)
        return agent_pb2.ResumeWorkerResponse()

    async def GetWorkerMetrics(self, request, context):
        await self._take(request, context)
        return agent_pb2.GetWorkerMetricsResponse(rss_bytes=7, cpu_seconds=0.5, invocations=3)

    async def EnsureImage(self, request, context):
        await self._take(request, context)
        return agent_pb2.EnsureImageResponse()

    async def Health(self, request, context):
        await self._take(request, context)
        return agent_pb2.HealthResponse(serving=True, driver="process", problems=["no images"])


@pytest.fixture
async def stub(tmp_path) -> AsyncIterator[tuple[StubAgent, GrpcAgent]]:
    servicer, server = StubAgent(), grpc.aio.server()
    agent_pb2_grpc.add_AgentServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix:{tmp_path}/agent.sock")
    await server.start()
    client = GrpcAgent(f"unix:{tmp_path}/agent.sock", "owner-1")
    yield servicer, client
    await client.close()
    await server.stop(None)


async def test_a_worker_is_asked_for_with_all_that_it_is_made_from(stub):
    servicer, client = stub
    assert await client.ensure("w1", SPEC) == WorkerInfo("w1", "f", "unix:/w", SPEC.fingerprint())
    assert servicer.requests == [
        agent_pb2.EnsureWorkerRequest(
            owner_id="owner-1",
            worker_id="w1",
            fingerprint=SPEC.fingerprint(),
            spec=agent_pb2.FunctionSpec(
                name="f",
                image="f:1",
                handler="app.handler",
                runtime="python3.12",
                timeout_ms=3000,
                memory_mb=256,
                environment={"A": "1"},
                sandbox="gvisor",
            ),
        )
    ]


async def test_an_image_is_asked_for_with_its_sandbox(stub):
    servicer, client = stub
    await client.ensure_image("f:1", "gvisor")
    assert servicer.requests == [
        agent_pb2.EnsureImageRequest(owner_id="owner-1", image="f:1", sandbox="gvisor")
    ]
    servicer.refuse = (grpc.StatusCode.NOT_FOUND, "f:1: no such image")
    with pytest.raises(AgentRefusedError, match="NOT_FOUND: f:1: no such image"):
        await client.ensure_image("f:1", "")


async def test_workers_are_listed_with_their_state_and_any_can_be_destroyed(stub):
    servicer, client = stub
    assert await client.list() == (
        WorkerInfo(f"w{agent_pb2.WORKER_STATE_BUSY}", "f", "", state=WorkerState.BUSY),
        WorkerInfo(f"w{agent_pb2.WORKER_STATE_EXITED}", "f", "", state=WorkerState.EXITED),
    )
    await client.destroy("w1")
    assert servicer.requests[1] == agent_pb2.DestroyWorkerRequest(owner_id="owner-1", worker_id="w1")


async def test_workers_are_paused_resumed_and_measured(stub):
    servicer, client = stub
    await client.pause("w1")
    await client.resume("w1")
    assert await client.usage("w1") == WorkerUsage(rss_bytes=7, cpu_seconds=0.5, invocations=3)
    assert [type(request).__name__ for request in servicer.requests] == [
        "PauseWorkerRequest",
        "ResumeWorkerRequest",
        "GetWorkerMetricsRequest",
    ]
    servicer.refuse = (grpc.StatusCode.FAILED_PRECONDITION, "it has exited")
    for refused in (client.pause, client.resume, client.usage):
        with pytest.raises(AgentRefusedError, match="it has exited"):
            await refused("w1")


async def test_an_agent_that_comes_back_is_found_within_a_second(tmp_path):
    client = GrpcAgent(f"unix:{tmp_path}/agent.sock", "owner-1")
    for _ in range(10):
        with pytest.raises(AgentUnavailableError):
            await client.list()
        await asyncio.sleep(0.1)
    server = grpc.aio.server()
    agent_pb2_grpc.add_AgentServicer_to_server(StubAgent(), server)
    server.add_insecure_port(f"unix:{tmp_path}/agent.sock")
    await server.start()
    async with asyncio.timeout(1.0):
        while True:
            try:
                await client.list()
                break
            except AgentUnavailableError:
                await asyncio.sleep(0.05)
    await client.close()
    await server.stop(None)


async def test_the_agents_health_is_passed_on(stub):
    _, client = stub
    assert await client.health() == AgentHealth(serving=True, driver="process", problems=("no images",))


async def test_a_failed_initialisation_brings_the_runtimes_error(stub):
    servicer, client = stub
    servicer.refuse = (grpc.StatusCode.FAILED_PRECONDITION, '{"errorType":"Runtime.ImportModuleError"}')
    with pytest.raises(InitFailedError) as caught:
        await client.ensure("w1", SPEC)
    assert caught.value.payload == b'{"errorType":"Runtime.ImportModuleError"}'


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.NOT_FOUND, AgentRefusedError),
        (grpc.StatusCode.DATA_LOSS, AgentRefusedError),
        (grpc.StatusCode.PERMISSION_DENIED, AgentRefusedError),
        (grpc.StatusCode.INTERNAL, AgentRefusedError),
        (grpc.StatusCode.UNAVAILABLE, AgentUnavailableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, AgentUnavailableError),
    ],
)
async def test_a_refusal_is_an_error_of_our_own(stub, code, kind):
    servicer, client = stub
    servicer.refuse = (code, "the reason")
    for call in (client.ensure("w1", SPEC), client.list(), client.health()):
        with pytest.raises(kind, match="the reason"):
            await call


async def test_destroying_a_worker_that_is_not_there_is_no_error(stub):
    servicer, client = stub
    servicer.refuse = (grpc.StatusCode.NOT_FOUND, "no such worker")
    await client.destroy("w1")
    servicer.refuse = (grpc.StatusCode.PERMISSION_DENIED, "another's")
    with pytest.raises(AgentRefusedError):
        await client.destroy("w1")


async def test_an_agent_that_is_not_there_is_unavailable(tmp_path):
    client = GrpcAgent(f"unix:{tmp_path}/nobody.sock", "owner-1")
    with pytest.raises(AgentUnavailableError, match="does not answer"):
        await client.ensure("w1", SPEC)
    await client.close()


async def test_an_agent_that_comes_back_is_found_again_soon(tmp_path, helpers):
    client = GrpcAgent(f"unix:{tmp_path}/agent.sock", "owner-1")
    with pytest.raises(AgentUnavailableError):
        await client.health()
    server = grpc.aio.server()
    agent_pb2_grpc.add_AgentServicer_to_server(StubAgent(), server)
    server.add_insecure_port(f"unix:{tmp_path}/agent.sock")
    await server.start()

    async def found() -> bool:
        try:
            return (await client.health()).serving
        except AgentUnavailableError:
            return False

    await helpers.eventually(found)
    await client.close()
    await server.stop(None)
