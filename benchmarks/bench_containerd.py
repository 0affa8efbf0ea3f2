"""containerd mode beside `ctr run` and the Docker driver: cold starts of the same image, in one run.

    python benchmarks/bench_containerd.py [--starts 15] [--burst 50] [--base IMAGE] [--json]

Cold: from `create` to the first answer of a small Python function. In turn, so that what else the machine
does falls on all: this driver under runc (system call filter, namespaces prepared ahead), under gVisor,
`ctr run -d --cni` as it is (no filter, no limits), the Docker driver. Then: resume of a paused worker to its
answer, many cold starts at once, and warm calls of one worker. containerd is one of its own, with directories
of its own. For all of them the kernel's grace periods are expedited meanwhile, as `esb-node` has them. Needs
root, containerd, the CNI plugins, a Docker Engine and a registry on loopback with an image like Lambda's
base; measures nothing without, and says why. Without runsc gVisor is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import math
import os
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path

import structlog
import uvloop

# Read when gRPC is loaded: it would halt its threads for each program that is started. As the agent has it.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

from artifact_contract.runtime_identity import resolve_identity
from bench_docker import BARE, BASE, docker
from bench_docker import why_not as why_no_docker
from esb_agent.drivers.containerd.driver import ContainerdDriver
from esb_agent.drivers.containerd.settings import GVISOR, RUNC, ContainerdConfig
from esb_agent.drivers.docker.driver import DockerDriver
from esb_agent.drivers.docker.settings import DockerConfig
from esb_agent.drivers.port import Driver
from esb_agent.model import FunctionSpec, Identity, Worker
from esb_node.containerd.kernel import EXPEDITED, expedite

CNI_BIN = Path("/usr/lib/cni")
MEMORY_MB = 512
CODE = "def handler(event, context):\n    return {'ok': True}\n"
CONFIG = """version = 2
root = "{root}/root"
state = "{root}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{root}/c.sock"
[ttrpc]
  address = "{root}/t.sock"
"""
Cold = Callable[[], Awaitable[float]]


def why_not(base: str) -> str:
    """Why nothing can be measured; "" when it can."""
    if os.geteuid() != 0:
        return "containerd needs root"
    missing = [name for name in ("containerd", "ctr", "runc", "nsenter", "unshare") if not shutil.which(name)]
    if missing or not (CNI_BIN / "bridge").exists():
        return f"not installed: {', '.join(missing) or CNI_BIN}"
    return why_no_docker(base)


@contextlib.contextmanager
def image(base: str, root: Path) -> Iterator[str]:
    """The function in a registry; both engines take it from there."""
    registry = base.partition("/")[0]
    repository = f"esb-bench-{secrets.token_hex(4)}"
    ref = f"{registry}/{repository}:1"
    (root / "image").mkdir()
    (root / "image" / "app.py").write_text(CODE)
    (root / "image" / "Dockerfile").write_text(f'FROM {base}\nCOPY app.py /var/task/\nCMD ["app.handler"]\n')
    docker("build", "--quiet", "--tag", ref, str(root / "image"))
    try:
        pushed = docker("push", "--quiet", ref)
        yield ref if pushed else ""
        digest = docker("inspect", "--format", "{{index .RepoDigests 0}}", ref).rpartition("@")[2]
        address = f"http://{registry}/v2/{repository}/manifests/{digest}"
        urllib.request.urlopen(urllib.request.Request(address, method="DELETE")).close()
    finally:
        docker("rmi", "--force", ref)


@contextlib.contextmanager
def expedited() -> Iterator[str]:
    """Grace periods as a box has them, or why not; afterwards as they were."""
    before = EXPEDITED.read_text() if EXPEDITED.exists() else ""
    try:
        yield expedite()
    finally:
        if before:
            EXPEDITED.write_text(before)


@contextlib.contextmanager
def containerd(root: Path) -> Iterator[str]:
    """One of its own; nothing of it stays."""
    (root / "config.toml").write_text(CONFIG.format(root=root))
    address = f"{root}/c.sock"
    with (root / "log").open("wb") as log:
        command = ["containerd", "--config", str(root / "config.toml")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while subprocess.run(["ctr", "-a", address, "version"], capture_output=True, check=False).returncode:
            if process.poll() is not None:
                raise SystemExit((root / "log").read_text()[-2000:])
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(30)
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if address.encode() in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), signal.SIGKILL)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted((one for one in mounts if one.startswith(str(root))), reverse=True):
            subprocess.run(["umount", "--lazy", mount], check=False)


async def answer(address: str) -> None:
    """One call, as soon as somebody listens."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    while True:
        try:
            reader, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            await asyncio.sleep(0.002)
            continue
        writer.write(f"POST {BARE} HTTP/1.1\r\nHost: w\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        try:
            status = await reader.readline()
            if b" 200 " not in status:
                raise SystemExit(f"{address} answered {status!r}")
            head = await reader.readuntil(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            await reader.readexactly(int(length[0].partition(b":")[2]))
        finally:
            writer.close()
        return


class DriverWay:
    """Workers of one driver."""

    def __init__(self, driver: Driver, ref: str) -> None:
        self.driver, self.ref, self.count = driver, ref, 0

    async def create(self) -> Worker:
        self.count += 1
        identity = Identity(owner_id="bench", worker_id=f"w{self.count}")
        spec = FunctionSpec(name="hello", image=self.ref, timeout_ms=30_000, memory_mb=MEMORY_MB)
        return await self.driver.create(identity, spec)

    async def cold(self) -> float:
        began = time.perf_counter()
        worker = await self.create()
        await answer(worker.address)
        taken = time.perf_counter() - began
        await self.driver.destroy(worker.identity.worker_id)
        return taken * 1000

    async def burst(self, number: int) -> list[float]:
        began = time.perf_counter()

        async def one() -> tuple[float, str]:
            worker = await self.create()
            await answer(worker.address)
            return (time.perf_counter() - began) * 1000, worker.identity.worker_id

        done = await asyncio.gather(*(one() for _ in range(number)))
        await asyncio.gather(*(self.driver.destroy(worker_id) for _, worker_id in done))
        return [taken for taken, _ in done]

    async def again(self, times: int) -> dict[str, list[float]]:
        """Resume to answer, the call `resume` alone, and warm calls of one worker."""
        worker = await self.create()
        await answer(worker.address)
        worker_id = worker.identity.worker_id
        figures: dict[str, list[float]] = {"resume": [], "resume to answer": [], "warm": []}
        for _ in range(times):
            began = time.perf_counter()
            await answer(worker.address)
            figures["warm"].append((time.perf_counter() - began) * 1000)
        for _ in range(times):
            # The emulator's last line has to be read before the worker counts as idle.
            await asyncio.sleep(0.1)
            await self.driver.pause(worker_id)
            began = time.perf_counter()
            await self.driver.resume(worker_id)
            figures["resume"].append((time.perf_counter() - began) * 1000)
            await answer(worker.address)
            figures["resume to answer"].append((time.perf_counter() - began) * 1000)
        await self.driver.destroy(worker_id)
        return figures


@contextlib.contextmanager
def ctr(root: Path, address: str, ref: str, subnet: str) -> Iterator[Cold]:
    """`ctr run -d --cni`, in a mount namespace where it finds a network of ours."""
    bridge = f"ebc{secrets.token_hex(4)}"
    (root / "net.d").mkdir()
    ipam = {"type": "host-local", "subnet": subnet, "dataDir": str(root / "ipam")}
    plugin = {"type": "bridge", "bridge": bridge, "isGateway": True, "ipMasq": False, "ipam": ipam}
    conf = {"cniVersion": "0.4.0", "name": "bench", "plugins": [plugin]}
    (root / "net.d" / "10-bench.conflist").write_text(json.dumps(conf))
    mounts = f"mkdir -p /etc/cni/net.d /opt/cni/bin; mount --bind {root}/net.d /etc/cni/net.d; "
    mounts += f"mount --bind {CNI_BIN} /opt/cni/bin; echo ready; exec sleep infinity"
    holder = subprocess.Popen(["unshare", "--mount", "sh", "-c", mounts], stdout=subprocess.PIPE)
    base = ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "ctr", "-a", address, "-n", "ctr"]

    async def tell(*words: str) -> None:
        # It passes its output on to what it starts: a pipe would never end.
        null = asyncio.subprocess.DEVNULL
        with (root / "ctr.log").open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *base, *words, stdin=null, stdout=null, stderr=errors
            )
        if await process.wait():
            raise SystemExit(f"ctr {' '.join(words)}: {(root / 'ctr.log').read_text()}")

    async def cold() -> float:
        name = f"c{secrets.token_hex(4)}"
        began = time.perf_counter()
        await tell("run", "--detach", "--cni", ref, name)
        here = [one for one in (root / "ipam" / "bench").glob("*.*.*.*") if name in one.read_text()]
        await answer(f"http://{here[0].name}:8080")
        taken = time.perf_counter() - began
        await tell("task", "rm", "--force", name)
        await tell("container", "rm", name)
        return taken * 1000

    try:
        if not holder.stdout or holder.stdout.readline() != b"ready\n":
            raise SystemExit("no mount namespace for ctr")
        subprocess.run([*base, "images", "pull", "--plain-http", ref], check=True, capture_output=True)
        yield cold
    finally:
        holder.terminate()
        holder.wait(10)
        remove_bridge(bridge)


@contextlib.asynccontextmanager
async def started(driver: Driver, ref: str) -> AsyncIterator[DriverWay]:
    await driver.start()
    await driver.recover()
    try:
        yield DriverWay(driver, ref)
    finally:
        for worker in await driver.list_workers():
            await driver.destroy(worker.identity.worker_id)
        await driver.close()


def containerd_driver(
    root: Path, address: str, runtime: str, options: argparse.Namespace
) -> tuple[ContainerdDriver, str]:
    """A driver, and its bridge."""
    slug = f"bench-{secrets.token_hex(4)}"
    identity = resolve_identity({"ESB_BRAND_SLUG": slug})
    driver = ContainerdDriver(
        ContainerdConfig(
            state_dir=root / slug,
            identity=identity,
            address=address,
            runtime=runtime,
            subnet=IPv4Network(f"10.{100 + secrets.randbelow(100)}.{secrets.randbelow(256)}.0/24"),
            netns_pool=options.pool,
            # So many at once wait for each other.
            init_seconds=120,
        )
    )
    return driver, identity.bridge


def remove_bridge(bridge: str) -> None:
    subprocess.run(["ip", "link", "del", bridge], check=False, capture_output=True)


async def measure(
    root: Path, address: str, ref: str, options: argparse.Namespace
) -> tuple[dict[str, list[float]], list[float], dict[str, list[float]]]:
    async with contextlib.AsyncExitStack() as stack:
        ways: dict[str, Cold] = {}
        runtimes = {"this driver, runc, filter": RUNC}
        if shutil.which("runsc"):
            runtimes["this driver, gVisor"] = GVISOR
        built: dict[str, DriverWay] = {}
        for name, runtime in runtimes.items():
            driver, bridge = containerd_driver(root, address, runtime, options)
            stack.callback(remove_bridge, bridge)
            built[name] = await stack.enter_async_context(started(driver, ref))
            ways[name] = built[name].cold
        ways["ctr run -d --cni, no filter"] = stack.enter_context(
            ctr(root, address, ref, f"10.{200 + secrets.randbelow(50)}.0.0/16")
        )
        slug = f"bench-{secrets.token_hex(4)}"
        docker_driver = DockerDriver(
            DockerConfig(state_dir=root / "docker", identity=resolve_identity({"ESB_BRAND_SLUG": slug}))
        )
        stack.callback(docker, "network", "rm", slug)
        ways["Docker driver, filter"] = (await stack.enter_async_context(started(docker_driver, ref))).cold
        times: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(options.starts + 1):
            for name, cold in ways.items():
                await asyncio.sleep(options.rest)
                taken = await cold()
                if number:
                    times[name].append(taken)
        first = built["this driver, runc, filter"]
        again = await first.again(options.starts)
        return times, await first.burst(options.burst), again


def line(name: str, times: list[float]) -> str:
    ordered = sorted(times)
    # The worst of a hundred, or of as many as there are.
    p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
    return f"  {name:34}{ordered[0]:9.1f}{statistics.median(times):9.1f}{p99:9.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=15, help="cold starts of each kind")
    parser.add_argument("--burst", type=int, default=50, help="cold starts at once")
    parser.add_argument("--pool", type=int, default=8, help="namespaces prepared ahead")
    parser.add_argument("--rest", type=float, default=0.6, help="seconds between starts: the pool fills up")
    parser.add_argument("--base", default=BASE, help="image with the emulator and a Python runtime")
    parser.add_argument("--json", action="store_true", help="also print the medians as JSON")
    options = parser.parse_args()
    if reason := why_not(options.base):
        print(f"not measured: {reason}")
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    # Ended in the middle, it clears up as when it is interrupted.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    before = os.getloadavg()[0]
    with (
        expedited() as not_expedited,
        tempfile.TemporaryDirectory(prefix="esb-bench-") as name,
        image(options.base, Path(name)) as ref,
        containerd(Path(name)) as address,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        times, burst, again = runner.run(measure(Path(name), address, ref, options))
    print(f"{os.cpu_count()} CPUs, load {before:.1f} before, {os.getloadavg()[0]:.1f} after")
    print(f"grace periods {f'as they are: {not_expedited}' if not_expedited else 'expedited'}")
    print(f"{'ms, create to first answer':36}{'min':>9}{'p50':>9}{'p99':>9}")
    for kind, taken in times.items():
        print(line(kind, taken))
    for kind, taken in again.items():
        print(line(kind, taken))
    print(line(f"{len(burst)} at once, all answered", burst))
    if options.json:
        print(json.dumps({kind: statistics.median(taken) for kind, taken in (times | again).items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
