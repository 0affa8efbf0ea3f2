"""What every driver must do. A new driver joins by adding a subject, and passes all of this unchanged."""

import asyncio
import json
import os
import sys

import attrs
import pytest
from esb_agent.drivers.process.driver import ProcessConfig, ProcessDriver
from esb_agent.drivers.process.keeper import procfs
from esb_agent.errors import ImageNotFoundError, InitFailedError, WorkerExitedError, WorkerNotFoundError
from esb_agent.model import FunctionSpec, Identity, WorkerState
from esb_agent.testing import FakeDriver

ECHO, BROKEN = "echo:1", "broken:1"


@attrs.define
class Subject:
    """A started driver whose image ECHO answers its event and whose image BROKEN does not initialise."""

    driver: object
    reach: object  # async (worker, event) -> result; raises when the worker refuses
    crash: object  # async (worker): it ends by itself
    left: object  # () -> what is left of workers on this machine


async def fake_subject():
    driver = FakeDriver({ECHO: lambda payload: payload, BROKEN: None})
    await driver.start()

    async def reach(worker, event):
        return json.loads(driver.invoke(worker.address, json.dumps(event).encode()))

    async def crash(worker):
        driver.crash(worker.identity.worker_id, "exit status 1")

    return Subject(driver, reach, crash, lambda: list(driver.workers))


async def process_subject(layout, state, call):
    layout.function(ECHO, "def handler(event, context): return event")
    layout.function(BROKEN, "import nothing_like_this")
    driver = ProcessDriver(
        ProcessConfig(state_dir=state, layout=layout.path, python=sys.executable, drain_seconds=0.0)
    )
    await driver.start()

    async def reach(worker, event):
        answer = await call(worker, event)
        if answer.status != 200:
            raise ConnectionError(answer.status)
        return answer.json()

    async def crash(worker):
        os.kill(driver._workers[worker.identity.worker_id].process.pid, 9)

    return Subject(driver, reach, crash, lambda: procfs.children(driver._keeper.pid))


@pytest.fixture(params=["fake", "process"])
async def subject(request, layout, tmp_path, call):
    made = await (
        fake_subject() if request.param == "fake" else process_subject(layout, tmp_path / "state", call)
    )
    yield made
    await made.driver.close()
    assert made.left() == []


def who(worker_id, owner_id="box"):
    return Identity(owner_id=owner_id, worker_id=worker_id, fingerprint=f"mark of {worker_id}")


SPEC = FunctionSpec(name="echo", image=ECHO)


async def test_a_created_worker_can_be_reached(subject):
    worker = await subject.driver.create(who("w1"), SPEC)
    assert worker.state is WorkerState.READY
    assert await subject.reach(worker, {"a": 1}) == {"a": 1}


async def test_it_keeps_what_it_was_made_with(subject):
    worker = await subject.driver.create(who("w1"), SPEC)
    assert (worker.identity, worker.function, worker.image) == (who("w1"), "echo", ECHO)
    assert worker.spec_digest == SPEC.digest()
    assert worker.created_unix_ms > 0
    assert await subject.driver.find("w1") == worker


async def test_workers_are_listed_with_their_owners_oldest_first(subject):
    for worker_id, owner_id in (("w2", "box"), ("w1", "other"), ("w3", "box")):
        await subject.driver.create(who(worker_id, owner_id), SPEC)
    listed = [(w.identity.worker_id, w.identity.owner_id) for w in await subject.driver.list_workers()]
    assert listed == [("w2", "box"), ("w1", "other"), ("w3", "box")]


async def test_a_paused_worker_is_not_reached_and_a_resumed_one_is(subject):
    worker = await subject.driver.create(who("w1"), SPEC)
    for _ in range(2):
        assert (await subject.driver.pause("w1")).state is WorkerState.PAUSED
    with pytest.raises(Exception, match=r"409|paused"):
        await subject.reach(worker, 1)
    for _ in range(2):
        assert (await subject.driver.resume("w1")).state is WorkerState.READY
    assert await subject.reach(worker, 2) == 2


async def test_calls_are_counted(subject):
    worker = await subject.driver.create(who("w1"), SPEC)
    for event in range(3):
        await subject.reach(worker, event)
    metrics = await subject.driver.metrics("w1")
    assert metrics.invocations == 3
    assert 0 < metrics.rss_bytes <= metrics.rss_peak_bytes
    assert metrics.processes >= 1
    assert metrics.uptime_seconds >= 0


async def test_destroying_twice_is_no_error(subject):
    await subject.driver.create(who("w1"), SPEC)
    assert await subject.driver.destroy("w1") is True
    assert await subject.driver.destroy("w1") is False
    assert await subject.driver.find("w1") is None
    assert subject.left() == []


async def test_a_destroyed_workers_id_can_be_used_again(subject):
    first = await subject.driver.create(who("w1"), SPEC)
    await subject.driver.destroy("w1")
    second = await subject.driver.create(who("w1"), SPEC)
    assert await subject.reach(second, 1) == 1
    assert second.created_unix_ms >= first.created_unix_ms


async def test_a_crash_is_seen_and_stays_seen_until_destroyed(subject, until):
    worker = await subject.driver.create(who("w1"), SPEC)
    await subject.crash(worker)
    for _ in range(500):
        seen = await subject.driver.find("w1")
        if seen.state is WorkerState.EXITED:
            break
        await asyncio.sleep(0.01)
    assert seen.state is WorkerState.EXITED
    assert seen.exit_reason
    for refused in (subject.driver.pause, subject.driver.resume, subject.driver.metrics):
        with pytest.raises(WorkerExitedError):
            await refused("w1")
    with pytest.raises(Exception):  # noqa: B017 - each transport refuses in its own way
        await subject.reach(worker, 1)
    assert await subject.driver.destroy("w1") is True


async def test_an_unknown_image_is_an_error_and_leaves_nothing(subject):
    with pytest.raises(ImageNotFoundError, match="none:1"):
        await subject.driver.create(who("w1"), FunctionSpec(name="f", image="none:1"))
    assert await subject.driver.list_workers() == ()


async def test_a_function_that_does_not_initialise_tells_why_and_leaves_nothing(subject):
    with pytest.raises(InitFailedError) as caught:
        await subject.driver.create(who("w1"), FunctionSpec(name="f", image=BROKEN))
    assert json.loads(str(caught.value))["errorType"] == "Runtime.ImportModuleError"
    assert await subject.driver.list_workers() == ()
    assert subject.left() == []


async def test_an_unknown_worker_is_an_error(subject):
    for refused in (subject.driver.pause, subject.driver.resume, subject.driver.metrics):
        with pytest.raises(WorkerNotFoundError):
            await refused("nobody")


async def test_a_healthy_driver_has_no_problems(subject):
    assert await subject.driver.problems() == ()


async def test_closing_leaves_no_worker(subject):
    for number in range(3):
        await subject.driver.create(who(f"w{number}"), SPEC)
    await subject.driver.close()
    assert subject.left() == []
