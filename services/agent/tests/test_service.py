"""The service over a real socket, with a driver in memory."""

import asyncio
import io
import json

import grpc
import pytest
from esb_agent import errors
from esb_agent.address import UnixAddress
from esb_agent.fleet import Fleet
from esb_agent.main import configure_logs
from esb_agent.server import serve
from esb_agent.service import STATUS, AgentService
from esb_agent.testing import FakeDriver
from esb_agent_api import agent_pb2 as pb
from esb_agent_api.agent_pb2_grpc import AgentStub
from grpc_health.v1 import health_pb2, health_pb2_grpc


@pytest.fixture
def driver():
    return FakeDriver({"echo:1": lambda payload: payload, "broken:1": None})


@pytest.fixture
async def stub(driver, tmp_path):
    server = await serve(Fleet(driver), UnixAddress(tmp_path / "agent.sock"), "1.2.3")
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/agent.sock") as channel:
        yield AgentStub(channel)
    await server.stop(None)


def ensure(worker_id="w1", owner_id="me", image="echo:1", **spec):
    values = {"name": "echo", "image": image, "timeout_ms": 3000, "memory_mb": 128, **spec}
    return pb.EnsureWorkerRequest(
        owner_id=owner_id, worker_id=worker_id, spec=pb.FunctionSpec(**values), fingerprint="mark"
    )


async def refused(call, code, reason):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code
    assert dict(caught.value.trailing_metadata())["esb-reason"] == reason
    return caught.value.details()


async def test_a_workers_life(stub):
    made = await stub.EnsureWorker(ensure(environment={"A": "1"}, cmd=["app.other"]))
    assert made.created
    assert (made.worker.worker_id, made.worker.owner_id, made.worker.function) == ("w1", "me", "echo")
    assert (made.worker.state, made.worker.fingerprint) == (pb.WORKER_STATE_READY, "mark")
    assert made.worker.address.startswith("unix:")
    mine = {"owner_id": "me", "worker_id": "w1"}
    assert (await stub.PauseWorker(pb.PauseWorkerRequest(**mine))).worker.state == pb.WORKER_STATE_PAUSED
    assert (await stub.ResumeWorker(pb.ResumeWorkerRequest(**mine))).worker.state == pb.WORKER_STATE_READY
    assert (await stub.GetWorkerMetrics(pb.GetWorkerMetricsRequest(**mine))).processes == 1
    assert [w.worker_id for w in (await stub.ListWorkers(pb.ListWorkersRequest(owner_id="me"))).workers] == [
        "w1"
    ]
    assert (await stub.DestroyWorker(pb.DestroyWorkerRequest(**mine))).existed
    assert not (await stub.DestroyWorker(pb.DestroyWorkerRequest(**mine))).existed


async def test_an_image_is_had_at_hand_and_one_that_cannot_be_is_refused(stub):
    assert await stub.EnsureImage(pb.EnsureImageRequest(owner_id="me", image="echo:1")) is not None
    assert not (await stub.ListWorkers(pb.ListWorkersRequest(owner_id="me"))).workers
    none = pb.EnsureImageRequest(owner_id="me", image="none:1")
    assert "none:1" in await refused(stub.EnsureImage(none), grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND")
    nameless = pb.EnsureImageRequest(owner_id="me")
    await refused(stub.EnsureImage(nameless), grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")


async def test_health_says_who_serves(stub):
    await stub.EnsureWorker(ensure())
    health = await stub.Health(pb.HealthRequest(owner_id="me"))
    assert (health.serving, health.driver, health.version, health.workers) == (True, "fake", "1.2.3", 1)


async def test_an_exited_worker_is_listed_with_its_reason(stub, driver):
    await stub.EnsureWorker(ensure())
    driver.crash("w1", "signal: killed")
    (worker,) = (await stub.ListWorkers(pb.ListWorkersRequest(owner_id="me"))).workers
    assert (worker.state, worker.exit_reason) == (pb.WORKER_STATE_EXITED, "signal: killed")


async def test_another_owners_worker_is_refused_everywhere(stub):
    await stub.EnsureWorker(ensure())
    theirs = {"owner_id": "they", "worker_id": "w1"}
    for call in (
        stub.EnsureWorker(ensure(owner_id="they")),
        stub.DestroyWorker(pb.DestroyWorkerRequest(**theirs)),
        stub.PauseWorker(pb.PauseWorkerRequest(**theirs)),
        stub.ResumeWorker(pb.ResumeWorkerRequest(**theirs)),
        stub.GetWorkerMetrics(pb.GetWorkerMetricsRequest(**theirs)),
    ):
        await refused(call, grpc.StatusCode.PERMISSION_DENIED, "NOT_OWNER")
    assert not (await stub.ListWorkers(pb.ListWorkersRequest(owner_id="they"))).workers


async def test_an_unnamed_owner_is_refused_everywhere(stub):
    for call in (
        stub.EnsureWorker(ensure(owner_id="")),
        stub.DestroyWorker(pb.DestroyWorkerRequest(worker_id="w1")),
        stub.PauseWorker(pb.PauseWorkerRequest(worker_id="w1")),
        stub.ResumeWorker(pb.ResumeWorkerRequest(worker_id="w1")),
        stub.GetWorkerMetrics(pb.GetWorkerMetricsRequest(worker_id="w1")),
        stub.ListWorkers(pb.ListWorkersRequest()),
        stub.EnsureImage(pb.EnsureImageRequest(image="echo:1")),
        stub.Health(pb.HealthRequest()),
    ):
        await refused(call, grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")


async def test_refusals_say_why(stub):
    text = await refused(
        stub.EnsureWorker(ensure(image="none:1")), grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND"
    )
    assert "none:1" in text
    text = await refused(
        stub.EnsureWorker(ensure(image="broken:1")), grpc.StatusCode.FAILED_PRECONDITION, "INIT_FAILED"
    )
    assert json.loads(text)["errorType"] == "Runtime.ImportModuleError"
    await refused(stub.EnsureWorker(ensure(timeout_ms=0)), grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
    nobody = pb.PauseWorkerRequest(owner_id="me", worker_id="nobody")
    await refused(stub.PauseWorker(nobody), grpc.StatusCode.NOT_FOUND, "WORKER_NOT_FOUND")


@pytest.fixture
def service_logs():
    stream = io.StringIO()
    configure_logs(stream)
    return stream


async def test_a_bug_is_internal_logged_once_and_tells_no_secret(stub, driver, service_logs):
    driver.images = None
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.EnsureWorker(ensure(environment={"PASSWORD": "hunter2"}))
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "hunter2" not in caught.value.details()
    (line,) = service_logs.getvalue().splitlines()
    assert "TypeError" in json.loads(line)["exception"]
    assert "hunter2" not in line


def test_every_error_has_a_status():
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type)}
    agents = {kind for kind in kinds if issubclass(kind, errors.AgentError)} - {errors.AgentError}
    assert agents == set(STATUS)


class SlowDriver(FakeDriver):
    """Starts take their time, and can be given up."""

    seconds = 0.5

    async def create(self, identity, spec):
        worker = await super().create(identity, spec)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            await self.destroy(identity.worker_id)
            raise
        return worker


async def test_a_callers_deadline_that_passes_during_a_start_leaves_no_worker(tmp_path, until):
    driver = SlowDriver({"echo:1": lambda payload: payload})
    server = await serve(Fleet(driver), UnixAddress(tmp_path / "agent.sock"), "1")
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/agent.sock") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await AgentStub(channel).EnsureWorker(ensure(), timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await until(lambda: not driver.workers)
        left = await AgentStub(channel).ListWorkers(pb.ListWorkersRequest(owner_id="me"))
        assert not left.workers
    await server.stop(None)


async def test_a_start_that_ends_after_the_deadline_is_undone(fleet_service):
    service, driver = fleet_service

    class Late:
        def time_remaining(self):
            return 0.0

    await service.EnsureWorker(ensure(), Late())
    assert not driver.workers


@pytest.fixture
def fleet_service(driver):
    return AgentService(Fleet(driver), "1"), driver


@pytest.mark.parametrize("name", ["", "esb.agent.v1.Agent"])
async def test_grpcs_own_health_service_answers(driver, tmp_path, name):
    server = await serve(Fleet(driver), UnixAddress(tmp_path / "agent.sock"), "1")
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/agent.sock") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.Check(health_pb2.HealthCheckRequest(service="other"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = health.Watch(health_pb2.HealthCheckRequest(service=name))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        stopping = asyncio.create_task(server.stop(1.0))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
        await stopping


async def test_there_is_no_reflection(stub, tmp_path):
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/agent.sock") as channel:
        # As one message: a stream's own sending may break on the refusal, before its status is read.
        ask = channel.unary_unary("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_drivers_own_kind_of_error_is_told_as_what_it_is_a_kind_of(stub, driver, monkeypatch):
    class EngineAwayError(errors.DriverError):
        pass

    async def fail(identity, spec):
        raise EngineAwayError("nobody answers")

    monkeypatch.setattr(driver, "create", fail)
    told = await refused(stub.EnsureWorker(ensure()), grpc.StatusCode.UNAVAILABLE, "DRIVER")
    assert told == "nobody answers"
