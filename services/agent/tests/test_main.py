"""The agent as a process: started, stopped, killed, misconfigured."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from esb_agent.drivers.process.keeper import procfs
from esb_agent_api import agent_pb2 as pb
from esb_agent_api.agent_pb2_grpc import AgentStub

FAMILY = (
    "import subprocess\n"
    "def handler(event, context):\n"
    "    plain = subprocess.Popen(['sleep', '1000'])\n"
    "    session = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
    "    daemon = subprocess.run(['sh', '-c', 'setsid sleep 1000 >/dev/null 2>&1 & echo $!'],\n"
    "                            stdout=subprocess.PIPE).stdout\n"
    "    return [plain.pid, session.pid, int(daemon)]\n"
)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


def alive(pid):
    found = procfs.read_stat(pid)
    return found is not None and found.alive


def wait_for(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)
    return found


class Agent:
    """A started agent and what it says."""

    def __init__(self, root: Path, layout: Path, **environment: str):
        self.socket = root / "agent.sock"
        self.state = root / "state"
        self.log = root / f"agent-{time.monotonic_ns()}.log"
        self.environment = {
            "PATH": os.environ["PATH"],
            "ESB_AGENT_ADDRESS": f"unix:{self.socket}",
            "ESB_AGENT_STATE_DIR": str(root / "state"),
            "ESB_IMAGE_LAYOUT": str(layout),
            **environment,
        }
        with self.log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "esb_agent"],
                env=self.environment,
                stderr=stderr,
                stdout=subprocess.PIPE,
            )

    def ready(self):
        wait_for(lambda: "agent ready" in self.text() or self.process.poll() is not None)
        assert "agent ready" in self.text(), self.text()
        return self

    def text(self):
        return self.log.read_text()

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.stdout.close()
        return self.process.wait(15)

    def keeper(self):
        return procfs.children(self.process.pid)[0]

    async def worker(self, ref, worker_id="w1"):
        async with grpc.aio.insecure_channel(f"unix:{self.socket}") as channel:
            spec = pb.FunctionSpec(name="f", image=ref, timeout_ms=5000, memory_mb=256)
            request = pb.EnsureWorkerRequest(owner_id="me", worker_id=worker_id, spec=spec)
            return (await AgentStub(channel).EnsureWorker(request)).worker


@pytest.fixture
def start(tmp_path_factory, layout):
    root = tmp_path_factory.mktemp("a")
    agents = []

    def run(**environment):
        agents.append(Agent(root, layout.path, **environment))
        return agents[-1]

    yield run
    for agent in agents:
        if agent.process.poll() is None:
            agent.end(signal.SIGKILL)
        agent.process.stdout.close()


async def test_it_serves_and_stops_without_leaving_anything(start, layout, call):
    layout.function("family:1", FAMILY)
    agent = start().ready()
    worker = await agent.worker("family:1")
    path = Path(worker.address.removeprefix("unix:"))
    assert [mode_of(agent.socket), mode_of(path)] == [0o600, 0o600]
    pids = [agent.keeper(), *procfs.children(agent.keeper()), *(await call(worker)).json()]
    assert agent.end() == 0
    assert not [pid for pid in pids if alive(pid)]
    assert not agent.socket.exists()
    assert sorted(entry.name for entry in agent.state.glob("**/*") if "rootfs" not in str(entry)) == [
        "agent.lock",
        "f.log",
        "logs",
        "workers",
    ]
    assert [json.loads(line)["event"] for line in agent.text().splitlines()][-1] == "worker ended"


async def test_a_call_in_flight_is_finished_before_it_stops(start, layout, call):
    layout.function(
        "slow:1", "import time\ndef handler(event, context): print('in'); time.sleep(0.7); return 'done'"
    )
    agent = start().ready()
    worker = await agent.worker("slow:1")
    running = asyncio.create_task(call(worker))
    log = agent.state / "logs/f.log"
    await asyncio.to_thread(wait_for, lambda: log.exists() and '"in"' in log.read_text())
    agent.process.terminate()
    assert (await running).json() == "done"
    assert await asyncio.to_thread(agent.process.wait, 15) == 0


async def test_killed_it_takes_everything_along(start, layout, call):
    layout.function("family:1", FAMILY)
    agent = start().ready()
    workers = [await agent.worker("family:1", f"w{i}") for i in range(3)]
    pids = [pid for worker in workers for pid in (await call(worker)).json()]
    pids += [agent.keeper(), *procfs.children(agent.keeper())]
    agent.end(signal.SIGKILL)
    await asyncio.to_thread(wait_for, lambda: not [pid for pid in pids if alive(pid)])


async def test_killed_with_its_keeper_the_next_start_ends_what_is_left(start, layout, call):
    layout.function("family:1", FAMILY)
    first = start().ready()
    children = (await call(await first.worker("family:1"))).json()
    keeper = first.keeper()
    leaders = [pid for pid in procfs.children(keeper) if pid not in children]
    os.kill(first.process.pid, signal.SIGSTOP)
    os.kill(keeper, signal.SIGKILL)
    first.end(signal.SIGKILL)
    # The worker itself goes with the keeper; what it started has nobody to take it along.
    await asyncio.to_thread(wait_for, lambda: not [pid for pid in leaders if alive(pid)])
    assert [pid for pid in children if alive(pid)] == children
    second = start().ready()
    assert not [pid for pid in children if alive(pid)]
    assert "leftovers of an earlier agent ended" in second.text()
    assert isinstance((await call(await second.worker("family:1"))).json(), list)


def test_a_stale_socket_is_no_hindrance(start):
    first = start().ready()
    first.end(signal.SIGKILL)
    assert first.socket.exists()
    assert start().ready().end() == 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "another agent (pid "),
        ({"ESB_AGENT_STATE_DIR": "other"}, "another agent listens there"),
        (
            {"ESB_AGENT_ADDRESS": "tcp:1"},
            "ESB_AGENT_ADDRESS: expected unix:/absolute/path or tcp:host:port, found 'tcp:1'",
        ),
        ({"ESB_AGENT_STATE_DIR": "other", "ESB_PROCESS_PYTHON": "/bin/true"}, "/bin/true: "),
        ({"ESB_AGENT_STATE_DIR": "/proc/none"}, "/proc/none: cannot be used as state directory"),
    ],
)
def test_what_hinders_it_is_told_in_one_line_and_exit_2(start, tmp_path, change, text):
    running = start().ready()
    change = {k: str(tmp_path / v) if v == "other" else v for k, v in change.items()}
    second = start(**change)
    assert second.process.wait(30) == 2
    (line,) = second.text().splitlines()
    assert line.startswith("esb-agent: ")
    assert text in line
    assert running.socket.exists()
    assert running.end() == 0


async def test_images_may_come_later(start, layout, tmp_path):
    elsewhere = tmp_path / "later"
    agent = start(ESB_IMAGE_LAYOUT=str(elsewhere)).ready()
    assert "no OCI image layout" in agent.text()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.worker("a:1")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    layout.function("a:1", "def handler(event, context): return 1")
    layout.path.rename(elsewhere)
    assert (await agent.worker("a:1")).state == pb.WORKER_STATE_READY
    assert agent.end() == 0


async def test_another_python_than_asked_for_is_warned_of_once(start, layout):
    layout.function("a:1", "def handler(event, context): return 1")
    agent = start().ready()
    async with grpc.aio.insecure_channel(f"unix:{agent.socket}") as channel:
        for number in range(3):
            spec = pb.FunctionSpec(
                name="f", image="a:1", runtime="python3.99", timeout_ms=5000, memory_mb=256
            )
            request = pb.EnsureWorkerRequest(owner_id="me", worker_id=f"w{number}", spec=spec)
            await AgentStub(channel).EnsureWorker(request)
    assert agent.end() == 0
    assert agent.text().count("function asks for another Python than runs it") == 1


async def test_a_silent_owners_workers_are_ended_and_a_heard_ones_are_not(start, layout):
    layout.function("a:1", "def handler(event, context): return 1")
    agent = start(ESB_AGENT_OWNER_GRACE="1").ready()
    await agent.worker("a:1")
    async with grpc.aio.insecure_channel(f"unix:{agent.socket}") as channel:
        stub = AgentStub(channel)
        spec = pb.FunctionSpec(name="f", image="a:1", timeout_ms=5000, memory_mb=256)
        await stub.EnsureWorker(pb.EnsureWorkerRequest(owner_id="other", worker_id="o1", spec=spec))
        deadline = time.monotonic() + 15
        while "worker of a silent owner ended" not in agent.text():
            assert time.monotonic() < deadline
            # The other one is heard of all the time.
            assert len((await stub.ListWorkers(pb.ListWorkersRequest(owner_id="other"))).workers) == 1
            await asyncio.sleep(0.1)
        assert not (await stub.ListWorkers(pb.ListWorkersRequest(owner_id="me"))).workers
    assert agent.end() == 0


def test_mode_process_does_not_load_what_mode_docker_needs():
    code = "import esb_agent.main, sys; print({'aiodocker', 'aiohttp'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
