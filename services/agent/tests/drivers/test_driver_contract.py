"""What every driver must do. A new driver joins by adding a subject, and passes all of this unchanged."""

import asyncio
import json
import os
import secrets
import sys
from abc import ABC, abstractmethod
from contextlib import suppress

import pytest
from artifact_contract.runtime_identity import RuntimeIdentity
from esb_agent.drivers.containerd.settings import GVISOR, RUNC
from esb_agent.drivers.docker.driver import DockerDriver
from esb_agent.drivers.docker.settings import DockerConfig, PullPolicy
from esb_agent.drivers.process.driver import ProcessConfig, ProcessDriver
from esb_agent.drivers.process.keeper import procfs
from esb_agent.errors import ImageNotFoundError, InitFailedError, WorkerExitedError, WorkerNotFoundError
from esb_agent.model import FunctionSpec, Identity, WorkerState
from esb_agent.testing import FakeDriver

ECHO, BROKEN = "echo:1", "broken:1"


class Subject(ABC):
    """A driver whose image ECHO answers its event and whose image BROKEN does not initialise.

    A new driver's subject says what is abstract here, and what is another with it.
    """

    # Images of these names; an engine may have them under others.
    echo, broken, missing = ECHO, BROKEN, "none:1"
    # A function that does not initialise shows it when it is created, or with its first call.
    initialises_at_once = True

    @abstractmethod
    def make(self):
        """Another driver over the same engine and directories."""

    @abstractmethod
    async def reach(self, worker, event):
        """The worker's answer; raises when it refuses."""

    @abstractmethod
    async def crash(self, worker):
        """Let it end by itself."""

    @abstractmethod
    def left(self):
        """What there is of workers on this machine."""

    def spec(self):
        return FunctionSpec(name="echo", image=self.echo)

    async def clear(self):  # noqa: B027 - most leave nothing
        """Remove what drivers may leave on purpose."""

    async def start(self):
        self.driver = self.make()
        await self.driver.start()
        return await self.driver.recover()

    async def restart(self):
        """As an agent's restart does it. Returns what the new driver took back."""
        await self.driver.close()
        return await self.start()


class FakeSubject(Subject):
    def __init__(self, engine=None):
        self.engine = engine

    def make(self):
        return FakeDriver({ECHO: lambda payload: payload, BROKEN: None}, self.engine)

    async def reach(self, worker, event):
        return json.loads(self.driver.invoke(worker.address, json.dumps(event).encode()))

    async def crash(self, worker):
        self.driver.crash(worker.identity.worker_id, "exit status 1")

    def left(self):
        return list(self.driver.workers if self.engine is None else self.engine)


class ProcessSubject(Subject):
    def __init__(self, layout, state, call):
        layout.function(ECHO, "def handler(event, context): return event")
        layout.function(BROKEN, "import nothing_like_this")
        self.config = ProcessConfig(
            state_dir=state, layout=layout.path, python=sys.executable, drain_seconds=0.0
        )
        self.call = call

    def make(self):
        return ProcessDriver(self.config)

    async def reach(self, worker, event):
        answer = await self.call(worker, event)
        if answer.status != 200:
            raise ConnectionError(answer.status)
        return answer.json()

    async def crash(self, worker):
        os.kill(self.driver._workers[worker.identity.worker_id].process.pid, 9)

    def left(self):
        sockets = list((self.config.state_dir / "s").glob("*"))
        directories = list((self.config.state_dir / "workers").iterdir())
        return procfs.children(self.driver._keeper.pid) + sockets + directories


class DockerSubject(Subject):
    """On this host's engine, whose containers and network it looks through itself."""

    initialises_at_once = False

    def __init__(self, engine, images, state, http_call):
        self.engine, self.http_call = engine, http_call
        self.echo, self.broken, self.missing = images.echo, images.broken, "127.0.0.1:5010/none:1"
        self.box = f"test{secrets.token_hex(4)}"
        self.config = DockerConfig(
            state_dir=state,
            identity=RuntimeIdentity(
                slug="esb", source="", environment=self.box, given_network=f"esb-{self.box}"
            ),
            pull=PullPolicy.NEVER,
        )

    def make(self):
        return DockerDriver(self.config)

    async def reach(self, worker, event):
        return await reach_emulator(self.driver, self.http_call, worker, event)

    async def crash(self, worker):
        self.engine.kill(self.driver._workers.get(worker.identity.worker_id).container)

    def left(self):
        return self.engine.containers(self.box)

    async def clear(self):
        self.engine.remove_network(self.config.identity.network)


class ContainerdSubject(Subject):
    """In a containerd of the tests' own, under one of its runtimes."""

    initialises_at_once = False

    def __init__(self, box):
        self.box = box
        self.echo, self.broken = box.images.echo, box.images.broken
        self.missing = "127.0.0.1:5010/none:1"

    def make(self):
        return self.box.make()

    async def reach(self, worker, event):
        return await reach_emulator(self.driver, self.box.http_call, worker, event)

    async def crash(self, worker):
        self.box.kill(self.box.container(worker))

    def left(self):
        return self.box.left()

    async def clear(self):
        await self.box.clear()


async def reach_emulator(driver, http_call, worker, event):
    known = driver._workers.get(worker.identity.worker_id).calls
    before = known.invocations
    answer = await http_call(worker, event)
    if answer.status != 200:
        raise ConnectionError(f"{answer.status}: {answer.body.decode()}")
    # Calls are counted from the worker's output, which may come after the answer.
    for _ in range(500):
        if known.invocations > before and not known.busy:
            break
        await asyncio.sleep(0.01)
    return answer.json()


@pytest.fixture(params=["fake", "fake with an engine", "process", "docker", "containerd", "gvisor"])
async def subject(request, layout, tmp_path, call):
    if request.param == "process":
        made = ProcessSubject(layout, tmp_path / "state", call)
    elif request.param == "docker":
        engine, images, http_call = map(request.getfixturevalue, ("engine", "function_images", "http_call"))
        made = DockerSubject(engine, images, tmp_path / "state", http_call)
    elif request.param in ("containerd", "gvisor"):
        runtime = GVISOR if request.param == "gvisor" else RUNC
        made = ContainerdSubject(request.getfixturevalue("new_containerd_box")(runtime))
    else:
        made = FakeSubject({} if "engine" in request.param else None)
    assert await made.start() == ()
    yield made
    for worker in await made.driver.list_workers():
        await made.driver.destroy(worker.identity.worker_id)
    await made.driver.close()
    await made.clear()
    assert made.left() == []


def who(worker_id, owner_id="box"):
    return Identity(owner_id=owner_id, worker_id=worker_id, fingerprint=f"mark of {worker_id}")


async def test_a_created_worker_can_be_reached(subject):
    worker = await subject.driver.create(who("w1"), subject.spec())
    assert worker.state is WorkerState.READY
    assert await subject.reach(worker, {"a": 1}) == {"a": 1}


async def test_it_keeps_what_it_was_made_with(subject):
    worker = await subject.driver.create(who("w1"), subject.spec())
    assert (worker.identity, worker.function, worker.image) == (who("w1"), "echo", subject.echo)
    assert worker.spec_digest == subject.spec().digest()
    assert worker.created_unix_ms > 0
    assert await subject.driver.find("w1") == worker


async def test_workers_are_listed_with_their_owners_oldest_first(subject):
    for worker_id, owner_id in (("w2", "box"), ("w1", "other"), ("w3", "box")):
        await subject.driver.create(who(worker_id, owner_id), subject.spec())
    listed = [(w.identity.worker_id, w.identity.owner_id) for w in await subject.driver.list_workers()]
    assert listed == [("w2", "box"), ("w1", "other"), ("w3", "box")]


async def test_a_paused_worker_is_not_reached_and_a_resumed_one_is(subject):
    worker = await subject.driver.create(who("w1"), subject.spec())
    for _ in range(2):
        assert (await subject.driver.pause("w1")).state is WorkerState.PAUSED
    with pytest.raises(Exception, match=r"409|paused"):
        await subject.reach(worker, 1)
    for _ in range(2):
        assert (await subject.driver.resume("w1")).state is WorkerState.READY
    assert await subject.reach(worker, 2) == 2


async def test_calls_are_counted(subject):
    worker = await subject.driver.create(who("w1"), subject.spec())
    for event in range(3):
        await subject.reach(worker, event)
    metrics = await subject.driver.metrics("w1")
    assert metrics.invocations == 3
    assert 0 < metrics.rss_bytes <= metrics.rss_peak_bytes
    assert metrics.processes >= 1
    assert metrics.uptime_seconds >= 0


async def test_destroying_twice_is_no_error(subject):
    await subject.driver.create(who("w1"), subject.spec())
    assert await subject.driver.destroy("w1") is True
    assert await subject.driver.destroy("w1") is False
    assert await subject.driver.find("w1") is None
    assert subject.left() == []


async def test_a_destroyed_workers_id_can_be_used_again(subject):
    first = await subject.driver.create(who("w1"), subject.spec())
    await subject.driver.destroy("w1")
    second = await subject.driver.create(who("w1"), subject.spec())
    assert await subject.reach(second, 1) == 1
    assert second.created_unix_ms >= first.created_unix_ms


async def test_a_crash_is_seen_and_stays_seen_until_destroyed(subject, until):
    worker = await subject.driver.create(who("w1"), subject.spec())
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
        await subject.driver.create(who("w1"), FunctionSpec(name="f", image=subject.missing))
    assert await subject.driver.list_workers() == ()


async def test_a_function_that_does_not_initialise_tells_why_and_leaves_nothing(subject):
    if subject.initialises_at_once:
        with pytest.raises(InitFailedError) as caught:
            await subject.driver.create(who("w1"), FunctionSpec(name="f", image=subject.broken))
        assert json.loads(str(caught.value))["errorType"] == "Runtime.ImportModuleError"
    else:
        worker = await subject.driver.create(who("w1"), FunctionSpec(name="f", image=subject.broken))
        with pytest.raises(ConnectionError, match=r"Runtime\.ImportModuleError"):
            await subject.reach(worker, 1)
        await subject.driver.destroy("w1")
    assert await subject.driver.list_workers() == ()
    assert subject.left() == []


async def test_an_unknown_worker_is_an_error(subject):
    for refused in (subject.driver.pause, subject.driver.resume, subject.driver.metrics):
        with pytest.raises(WorkerNotFoundError):
            await refused("nobody")


async def test_a_healthy_driver_has_no_problems(subject):
    assert await subject.driver.problems() == ()


async def test_closing_leaves_no_worker_unless_an_engine_keeps_it(subject):
    for number in range(3):
        await subject.driver.create(who(f"w{number}"), subject.spec())
    await subject.driver.close()
    assert bool(subject.left()) == subject.driver.keeps_workers
    await subject.start()


async def test_after_a_restart_what_an_engine_kept_is_as_it_was_and_else_there_is_nothing(subject):
    made = [await subject.driver.create(who(f"w{number}"), subject.spec()) for number in range(2)]
    paused = await subject.driver.pause("w1")
    found = await subject.restart()
    if not subject.driver.keeps_workers:
        assert found == await subject.driver.list_workers() == ()
        assert subject.left() == []
        return
    assert found == await subject.driver.list_workers() == (made[0], paused)
    assert await subject.reach(found[0], 1) == 1
    await subject.driver.resume("w1")
    assert await subject.reach(found[1], 2) == 2
    assert await subject.driver.destroy("w1") is True
    assert [worker.identity.worker_id for worker in await subject.restart()] == ["w0"]


async def test_an_image_can_be_had_at_hand_before_there_is_a_worker(subject):
    for _ in range(2):
        await subject.driver.ensure_image(subject.echo, "")
    with pytest.raises(ImageNotFoundError):
        await subject.driver.ensure_image(subject.missing, "")
    assert await subject.driver.list_workers() == ()
    assert subject.left() == []
    worker = await subject.driver.create(who("w1"), subject.spec())
    assert await subject.reach(worker, 1) == 1


async def test_an_end_whose_caller_gives_up_comes_all_the_same(subject, until):
    await subject.driver.create(who("w1"), subject.spec())
    ending = asyncio.create_task(subject.driver.destroy("w1"))
    await asyncio.sleep(0)
    ending.cancel()
    with suppress(asyncio.CancelledError):
        await ending
    await until(lambda: subject.left() == [])
    assert await subject.driver.find("w1") is None


async def test_a_start_that_is_given_up_leaves_nothing(subject):
    starting = asyncio.create_task(subject.driver.create(who("w1"), subject.spec()))
    await asyncio.sleep(0)
    starting.cancel()
    with suppress(asyncio.CancelledError):
        # Or it was quicker.
        await starting
        await subject.driver.destroy("w1")
    assert await subject.driver.list_workers() == ()
    assert subject.left() == []
