"""From a spec to a running task whose emulator listens.

image (pulled) ┐
               ├─▶ record, snapshot ─▶ task ─▶ started ─▶ somebody listens on its port
network        ┘
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from artifact_contract.runtime_identity import RuntimeIdentity
from attrs import evolve, frozen

from esb_agent.drivers import emulator_function
from esb_agent.drivers.containerd.client import Container, Containerd
from esb_agent.drivers.containerd.images import Images
from esb_agent.drivers.containerd.limits import keep_on_one_cpu
from esb_agent.drivers.containerd.manifests import ImageFacts
from esb_agent.drivers.containerd.network import Network
from esb_agent.drivers.containerd.oci_spec import Place, oci_spec
from esb_agent.drivers.containerd.rpc import ContainerdError
from esb_agent.drivers.containerd.runtimes import Runtimes
from esb_agent.drivers.containerd.settings import GVISOR, ContainerdConfig
from esb_agent.drivers.containerd.users import GROUP, PASSWD, User, needs_files, parse_user, read_in_layers
from esb_agent.drivers.containerd.worker import ContainerdWorker
from esb_agent.errors import AgentError, ImageBrokenError
from esb_agent.model import FunctionSpec

ADDRESS, NETNS, RUNTIME = "io.esb.address", "io.esb.netns", "io.esb.runtime"
# With it a snapshot is kept though no record leads to it yet; the driver removes it itself.
KEPT = "containerd.io/gc.root"
# A CPU's share of starts. More at once take as long all together, and all of them would be ready last.
AT_ONCE = 2
ONE_CPU = 10**9
# How runtimes word that an image's entrypoint is none.
NO_PROGRAM = (
    "executable file not found",
    "no such file or directory",
    "exec format error",
    "permission denied",
)


@frozen(kw_only=True)
class Host:
    """What is the same for all workers: name files, whose CPUs, the filter of system calls."""

    resolv: Path
    hosts: Path
    cpus: int
    swap_limited: bool
    seccomp: Mapping[str, object] | None


class Launcher:
    """Makes workers; what is left of one that failed is the caller's to remove."""

    def __init__(
        self,
        client: Containerd,
        images: Callable[[str], Images],
        network: Network,
        runtimes: Runtimes,
        config: ContainerdConfig,
    ) -> None:
        self._client = client
        self._images = images
        self._network = network
        self._runtimes = runtimes
        self._config = config
        self._turns = count()
        self._slots = asyncio.Semaphore(AT_ONCE * (os.cpu_count() or 1))

    async def launch(
        self, worker: ContainerdWorker, spec: FunctionSpec, marks: Mapping[str, str], host: Host
    ) -> None:
        """Return when a call can be sent. Raises what `Driver.create` raises."""
        facts = await self._images(worker.snapshotter).ensure(spec.image)
        worker.made = True
        async with self._slots:
            await worker.finish(self._make(worker, spec, marks, facts, host))
        await worker.wait_ready(self._config.init_seconds)

    async def _make(
        self,
        worker: ContainerdWorker,
        spec: FunctionSpec,
        marks: Mapping[str, str],
        facts: ImageFacts,
        host: Host,
    ) -> None:
        # Both to their end, also when one fails: what is made has to be known to be removed.
        namespace, mounts = await asyncio.gather(
            self._network.acquire(), self._snapshot(worker, facts), return_exceptions=True
        )
        if not isinstance(namespace, BaseException):
            worker.namespace = namespace
        if isinstance(namespace, BaseException):
            raise namespace
        if isinstance(mounts, BaseException):
            raise mounts
        runtime = marks[RUNTIME]
        worker.seen = evolve(worker.seen, address=emulator_function.worker_address(namespace.address))
        place = Place(
            netns=namespace.path,
            resolv=host.resolv,
            hosts=host.hosts,
            cgroup=f"/{worker_group(self._config.identity, worker.container)}",
            nano_cpus=emulator_function.start_cpus(spec.memory_mb, host.cpus),
            swap_limited=host.swap_limited,
        )
        what = oci_spec(
            spec,
            worker.seen.identity,
            facts,
            place,
            user=_user(facts, mounts),
            seccomp=None if runtime == GVISOR else host.seccomp,
        )
        record = Container(
            id=worker.container,
            labels={**marks, ADDRESS: namespace.address, NETNS: namespace.name},
            image=spec.image,
            snapshotter=worker.snapshotter,
            snapshot=worker.container,
        )
        worker.fifos.make()
        worker.fifos.open()
        await self._client.create_container(record, what, self._runtimes.shim(runtime))
        await self._start(worker, spec, mounts)

    async def _snapshot(self, worker: ContainerdWorker, facts: ImageFacts) -> tuple[object, ...]:
        """The worker's own layer above its image, which is unpacked again when somebody removed it."""
        labels = {KEPT: datetime.now(UTC).isoformat()}
        try:
            found = await self._client.prepare_snapshot(
                worker.snapshotter, worker.container, facts.chain_id, labels=labels
            )
        except ContainerdError as error:
            if not error.not_found:
                raise
            images = self._images(worker.snapshotter)
            images.forget()
            facts = await images.ensure(worker.seen.image)
            found = await self._client.prepare_snapshot(
                worker.snapshotter, worker.container, facts.chain_id, labels=labels
            )
        return tuple(found)

    async def _start(self, worker: ContainerdWorker, spec: FunctionSpec, mounts: tuple[object, ...]) -> None:
        try:
            worker.pid = await self._client.create_task(
                worker.container, mounts, stdout=worker.fifos.stdout, stderr=worker.fifos.stderr
            )
            # Until its first call is over: to wake a process on another CPU takes virtual machines long, and
            # gVisor's ptrace does it twice a system call. A function with more than a CPU may use all.
            if 0 < worker.cpus <= ONE_CPU:
                keep_on_one_cpu(worker_group(self._config.identity, worker.container), next(self._turns))
            await self._client.start_task(worker.container)
        except ContainerdError as error:
            raise start_error(spec, error) from error


def worker_group(identity: RuntimeIdentity, container: str) -> str:
    """Where a worker's control group is below the root of each hierarchy."""
    return f"{identity.namespace}/{container}"


def start_error(spec: FunctionSpec, error: ContainerdError) -> AgentError:
    """Of a task that cannot be started: an entrypoint that is none is the image's fault."""
    message = str(error)
    if "exec" in message and any(words in message.lower() for words in NO_PROGRAM):
        return ImageBrokenError(f"{spec.image}: cannot be started: {message}")
    return error


def _user(facts: ImageFacts, mounts: tuple[object, ...]) -> User:
    if not needs_files(facts.user):
        return parse_user(facts.user)
    layers = layers_of(mounts)
    return parse_user(facts.user, read_in_layers(layers, PASSWD), read_in_layers(layers, GROUP))


def layers_of(mounts: tuple[object, ...]) -> list[Path]:
    """The directories of the image under a snapshot's mounts, topmost first."""
    found: list[Path] = []
    for mount in mounts:
        for option in getattr(mount, "options", ()):
            if option.startswith("lowerdir="):
                found += [Path(one) for one in option.removeprefix("lowerdir=").split(":")]
        if getattr(mount, "type", "") == "bind":
            found.append(Path(getattr(mount, "source", "")))
    return found
