"""A containerd of the tests' own, and boxes whose workers run in it."""

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from ipaddress import IPv4Network
from pathlib import Path

import attrs
import pytest
from artifact_contract.runtime_identity import RuntimeIdentity
from esb_agent.drivers.containerd.driver import ContainerdDriver
from esb_agent.drivers.containerd.settings import GVISOR, RUNC, ContainerdConfig
from esb_agent.model import FunctionSpec, Identity

CONFIG = """
version = 2
root = "{root}/root"
state = "{root}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing", "io.containerd.internal.v1.opt"]
[grpc]
  address = "{root}/c.sock"
[ttrpc]
  address = "{root}/t.sock"
"""


def why_not():
    """Why no containerd can be started here; "" when it can."""
    if os.geteuid() != 0:
        return "containerd needs root"
    missing = [name for name in ("containerd", "runc", "ctr") if not shutil.which(name)]
    return f"not installed: {', '.join(missing)}" if missing else ""


def lacking(reason):
    if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class RealContainerd:
    """containerd with directories of its own, and what can be asked of it without the code under test."""

    namespace = "esb-agent-test"

    def __init__(self, root: Path):
        self.root = root
        # One for all boxes, which come one after the other: what was pulled is there for the next.
        self.identity = RuntimeIdentity(slug=f"t{secrets.token_hex(4)}", source="", environment="test")
        self.address = str(root / "c.sock")
        (root / "config.toml").write_text(CONFIG.format(root=root))
        self.process = None

    def start(self):
        with (self.root / "log").open("ab") as log:
            command = ["containerd", "--config", str(self.root / "config.toml")]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is None and Path(self.address).exists():
                done = self.ctr("version", check=False)
                if done.returncode == 0:
                    return
            time.sleep(0.05)
        raise AssertionError((self.root / "log").read_text()[-2000:])

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(30)

    def ctr(self, *words, check=True, namespace=namespace):
        command = ["ctr", "--address", self.address, "--namespace", namespace, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=check)

    def lines(self, *words):
        return self.ctr(*words).stdout.splitlines()

    def end(self):
        """Nothing of it stays: shims, mounts, directories."""
        self.stop()
        for entry in Path("/proc").glob("[0-9]*"):
            # Shims outlive their containerd; they name its socket.
            if self.address.encode() in _command_line(entry):
                os.kill(int(entry.name), signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((one for one in mounts if one.startswith(str(self.root))), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.root)


def _command_line(process):
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="session")
def real_containerd(tmp_path_factory):
    """Started once; without one the test is skipped, or fails where one is required."""
    if reason := why_not():
        lacking(reason)
    found = RealContainerd(tmp_path_factory.mktemp("c"))
    try:
        found.start()
        yield found
    finally:
        found.end()


class ContainerdBox:
    """Drivers of one box, one after the other, and what is asked of its host without the code under test."""

    def __init__(self, containerd, images, state, http_call, **settings):
        self.containerd, self.images, self.http_call = containerd, images, http_call
        self.identity = containerd.identity
        self.settings = {
            "state_dir": state,
            "identity": self.identity,
            "address": containerd.address,
            "subnet": IPv4Network(f"10.214.{secrets.randbelow(200)}.0/24"),
            # What is left is counted: there is none that nobody lives in.
            "netns_pool": 0,
            **settings,
        }
        self.count = 0

    def make(self, **more):
        return ContainerdDriver(ContainerdConfig(**{**self.settings, **more}))

    async def start(self, **more):
        self.driver = self.make(**more)
        await self.driver.start()
        return await self.driver.recover()

    async def worker(self, image="", worker_id="", **spec):
        self.count += 1
        spec = {"name": "f", "image": image or self.images.wild, "timeout_ms": 5000, "memory_mb": 256, **spec}
        identity = Identity(owner_id="box", worker_id=worker_id or f"w{self.count}")
        return await self.driver.create(identity, FunctionSpec(**spec))

    async def tell(self, worker, **event):
        return await self.http_call(worker, event)

    def container(self, worker):
        return self.identity.worker_name(worker.function, worker.identity.worker_id)

    def ctr(self, *words, check=True):
        return self.containerd.ctr(*words, check=check, namespace=self.identity.namespace)

    def kill(self, container):
        """Whether it ended just before does not matter."""
        self.ctr("task", "kill", "--all", "--signal", "SIGKILL", container, check=False)

    def end_process(self, worker):
        """Kill it without containerd."""
        os.kill(self.driver._workers.get(worker.identity.worker_id).pid, signal.SIGKILL)

    def signal_shim(self, worker, number):
        """Tell it to what stands between containerd and the worker."""
        words = f"-id\0{self.container(worker)}\0-address\0{self.containerd.address}".encode()
        found = [one for one in Path("/proc").glob("[0-9]*") if words in _command_line(one)]
        assert len(found) == 1, found
        os.kill(int(found[0].name), number)

    def spec(self, worker):
        return json.loads(self.ctr("container", "info", self.container(worker)).stdout)["Spec"]

    def log(self, function="f"):
        path = self.settings["state_dir"] / "logs" / f"{function}.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    async def logged(self, line, function="f"):
        """Wait until a line is in the log; returns its entry."""
        for _ in range(500):
            if found := [entry for entry in self.log(function) if entry["line"].startswith(line)]:
                return found[0]
            await asyncio.sleep(0.02)
        raise AssertionError(f"{line!r} is not in the log: {[entry['line'] for entry in self.log(function)]}")

    async def reaches(self, worker, state, seconds=15.0):
        """Wait until the driver sees the worker in that state; returns it."""
        deadline = time.monotonic() + seconds
        while (found := await self.driver.find(worker.identity.worker_id)).state is not state:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.01)
        return found

    def cpus(self, worker):
        """How many it may use, as the kernel limits it."""
        name = f"{self.identity.namespace}/{self.container(worker)}"
        for file in Path("/sys/fs/cgroup").glob(f"*/{name}/cpu.cfs_quota_us"):
            return int(file.read_text()) / int((file.parent / "cpu.cfs_period_us").read_text())
        quota, period = (Path("/sys/fs/cgroup") / name / "cpu.max").read_text().split()
        return int(quota) / int(period)

    def cpu_set(self, worker):
        """On which it may run."""
        name = f"{self.identity.namespace}/{self.container(worker)}"
        (processes,) = [
            *Path("/sys/fs/cgroup").glob(f"cpu/{name}/cgroup.procs"),
            *Path("/sys/fs/cgroup").glob(f"{name}/cgroup.procs"),
        ]
        return set.union(*(os.sched_getaffinity(int(pid)) for pid in processes.read_text().split()))

    def left(self):
        """All that there is of workers."""
        snapshots = [line.split() for line in self.ctr("snapshots", "ls").stdout.splitlines()[1:]]
        addresses = self.settings["state_dir"] / "cni" / self.identity.cni_name
        directories = self.settings["state_dir"] / "workers"
        groups = [
            path for path in Path("/sys/fs/cgroup").glob(f"*/{self.identity.namespace}/*") if path.is_dir()
        ]
        return [
            *self.ctr("containers", "ls", "-q").stdout.split(),
            *self.ctr("tasks", "ls", "-q").stdout.split(),
            *(words[0] for words in snapshots if words[-1] == "Active"),
            *(path.name for path in Path("/run/netns").glob(f"{self.identity.namespace}-*")),
            *(path.name for path in addresses.glob("*.*.*.*")),
            *(path.name for path in directories.glob("*")),
            *map(str, groups),
        ]

    async def clear(self):
        """End what outlives a driver on purpose; all is then removed by the next one's start."""
        for container in self.ctr("tasks", "ls", "-q").stdout.split():
            self.kill(container)
        await self.start()
        await self.driver.close()
        assert self.left() == []
        await asyncio.to_thread(remove_bridge, self.identity.bridge)


def remove_bridge(name):
    subprocess.run(["ip", "link", "delete", name], check=False, timeout=20)


@pytest.fixture(scope="session")
def pushed_images(engine, function_images):
    """The functions of `function_images` in a registry on loopback, where containerd takes them from."""
    refs = {}
    for name, local in attrs.asdict(function_images).items():
        repository, tag = f"127.0.0.1:5010/{local.partition(':')[0]}", local.partition(":")[2]
        refs[name] = engine.push(local, repository, tag)
    yield attrs.evolve(function_images, **refs)
    for ref in refs.values():
        engine.unpublish(ref)
        engine.remove_image(ref)


@pytest.fixture
def new_containerd_box(real_containerd, pushed_images, tmp_path, http_call):
    """Makes a box whose workers run under a runtime of containerd's."""

    def make(runtime=RUNC, **settings):
        if runtime == GVISOR and not shutil.which("runsc"):
            lacking("not installed: runsc")
        return ContainerdBox(
            real_containerd, pushed_images, tmp_path / "state", http_call, runtime=runtime, **settings
        )

    return make
