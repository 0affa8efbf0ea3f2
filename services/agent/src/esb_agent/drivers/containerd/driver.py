"""Mode `containerd`: workers are containerd tasks, which go on while agents and containerd come and go.

create   image (pulled), network ─▶ container, snapshot ─▶ task ─▶ its emulator listens ─▶ READY
end      the task ends, or memory runs out ─▶ EXITED ─destroy▶ gone
"""

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from esb_agent.drivers.background import Background
from esb_agent.drivers.containerd import seccomp
from esb_agent.drivers.containerd.client import Containerd, Event, TaskStatus
from esb_agent.drivers.containerd.image_settings import ImageSettings
from esb_agent.drivers.containerd.images import Images
from esb_agent.drivers.containerd.launch import RUNTIME, Host, Launcher, worker_group
from esb_agent.drivers.containerd.leftovers import Survivor, find_survivors, remove_leftovers
from esb_agent.drivers.containerd.limits import limit_cpu, spread_over_cpus, swap_is_counted
from esb_agent.drivers.containerd.measures import measure
from esb_agent.drivers.containerd.network import Network, NetworkConfig
from esb_agent.drivers.containerd.oci_spec import cpu_limit
from esb_agent.drivers.containerd.removal import erase, remove_directory
from esb_agent.drivers.containerd.rpc import ContainerdError, ContainerdUnreachedError
from esb_agent.drivers.containerd.runtimes import Runtimes
from esb_agent.drivers.containerd.settings import FIRECRACKER, FIRECRACKER_SNAPSHOTTER, ContainerdConfig
from esb_agent.drivers.containerd.watch import Watch
from esb_agent.drivers.containerd.worker import ContainerdWorker
from esb_agent.drivers.emulator_function import BRAND, ENVIRONMENT, later_cpus
from esb_agent.drivers.emulator_worker import end_reason, new_worker
from esb_agent.drivers.emulator_workers import Workers
from esb_agent.drivers.log_files import LogFiles, Ship
from esb_agent.drivers.state_dir import StateDirectory
from esb_agent.errors import ConfigError, DriverError, WorkerExitedError
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerMetrics
from esb_agent.tally import Tally

log = structlog.get_logger()
REMOVED = "its container was removed"
HOSTS = "127.0.0.1\tlocalhost\n"


class ContainerdDriver:
    """See `port.Driver`."""

    name = "containerd"
    keeps_workers = True

    def __init__(
        self, config: ContainerdConfig, tally: Tally | None = None, ship: Ship | None = None
    ) -> None:
        self._config = config
        identity = config.identity
        self._box = {BRAND: identity.slug, ENVIRONMENT: identity.environment}
        self._state = StateDirectory(config.state_dir)
        self._logs = LogFiles(self._state.logs, config.log_max_bytes, config.log_backups, ship)
        self._client = Containerd(config.address, identity.namespace)
        self._images: dict[str, Images] = {}
        self._network = Network(
            NetworkConfig(
                state_dir=config.state_dir,
                bridge=identity.bridge,
                name=identity.cni_name,
                prefix=identity.namespace,
                subnet=config.subnet,
                bin_dir=config.cni_bin_dir,
                pool=config.netns_pool,
            )
        )
        self._runtimes = Runtimes(config)
        self._launcher = Launcher(self._client, self._images_of, self._network, self._runtimes, config)
        self._watch = Watch(self._client, on_event=self._on_event, look=self._look)
        self._workers = Workers[ContainerdWorker](
            self._state, self._logs, tally or Tally(), erase=self._erase, call_ended=self._call_ended
        )
        self._by_container: dict[str, ContainerdWorker] = {}
        self._survivors: list[Survivor] = []
        self._background = Background()
        self._host: Host | None = None
        self._closed = False

    def _images_of(self, snapshotter: str) -> Images:
        if snapshotter not in self._images:
            config = self._config
            settings = ImageSettings(
                snapshotter=snapshotter,
                pull=config.pull,
                auth_file=config.auth_file,
                insecure=config.insecure,
                ca=config.ca,
            )
            self._images[snapshotter] = Images(self._client, settings)
        return self._images[snapshotter]

    def _snapshotter_of(self, runtime: str) -> str:
        return FIRECRACKER_SNAPSHOTTER if runtime == FIRECRACKER else self._config.snapshotter

    async def start(self) -> None:
        """Find containerd, keep the workers that run, remove all else that is left of earlier ones."""
        try:
            self._state.take()
        except OSError as error:
            raise ConfigError(f"{self._state.root}: cannot be used as state directory: {error}") from error
        try:
            await asyncio.to_thread(self._runtimes.check)
            self._host = await asyncio.to_thread(self._look_at_host)
            version = await self._client.connect()
            await self._images_of(self._config.snapshotter).start()
            await self._keep_survivors()
            await self._network.start()
        except (DriverError, ConfigError) as error:
            await self.close()
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"ESB_AGENT_DRIVER=containerd: {error}") from error
        self._background.start(self._watch.run())
        log.info("containerd found", version=version, runtime=self._config.runtime)

    def _look_at_host(self) -> Host:
        resolv, hosts = self._state.root / "resolv.conf", self._state.root / "hosts"
        lines = "".join(f"nameserver {one}\n" for one in self._config.name_servers)
        try:
            for file, text in ((resolv, lines), (hosts, HOSTS)):
                file.write_text(text)
                file.chmod(0o644)
        except OSError as error:
            raise ConfigError(f"{self._state.root}: cannot be written to: {error}") from error
        there = seccomp.Host.of(platform.machine(), platform.release())
        return Host(
            resolv=resolv,
            hosts=hosts,
            cpus=os.cpu_count() or 1,
            swap_limited=swap_is_counted(),
            seccomp=seccomp.load_profile(self._config.seccomp, there),
        )

    async def _keep_survivors(self) -> None:
        found, others = await find_survivors(self._client)
        for one in found:
            try:
                await self._take_back(one)
            except (DriverError, OSError) as error:
                log.warning("worker cannot be taken back", container=one.container.id, error=str(error))
                await self._give_up(one)
                others.append(one.container)
            else:
                self._survivors.append(one)
        await remove_leftovers(self._client, self._state, self._config.snapshotter, self._survivors, others)

    async def _take_back(self, one: Survivor) -> None:
        namespace = await self._network.adopt(one.netns, Path("/run/netns") / one.netns, one.address)
        worker = self._new(
            one.seen, one.container.id, one.cpus, one.timeout_ms, one.container.snapshotter, taken_back=True
        )
        worker.fifos.make()
        worker.fifos.open()
        worker.namespace, worker.pid = namespace, one.pid
        worker.made = worker.ready = True
        worker.paused = one.seen.state.value == "paused"
        self._workers.add(worker)

    async def _give_up(self, one: Survivor) -> None:
        """Nothing of it is held any more; the rest is removed as what any earlier agent left."""
        self._network.disown(one.netns)
        if worker := self._by_container.pop(one.container.id, None):
            await worker.abandon()

    async def recover(self) -> tuple[Worker, ...]:
        """See `port.Driver`. What was printed meanwhile is logged now."""
        await self._look()
        return await self.list_workers()

    def _new(
        self,
        seen: Worker,
        container: str,
        cpus: int,
        timeout_ms: int,
        snapshotter: str,
        *,
        taken_back: bool = False,
    ) -> ContainerdWorker:
        calls, output = self._workers.output_of(seen, timeout_ms, taken_back=taken_back)
        directory = self._state.workers / container
        worker = ContainerdWorker(
            seen, container, cpus, calls, output, directory=directory, snapshotter=snapshotter
        )
        self._by_container[container] = worker
        return worker

    def _call_ended(self, worker: ContainerdWorker) -> None:
        """With the first call its initialisation is over: from now on it has the CPU its memory gives it."""
        if cpus := worker.take_limit():
            self._background.start(self._limit(worker, cpus))

    async def _limit(self, worker: ContainerdWorker, cpus: int) -> None:
        limit, group = cpu_limit(cpus), worker_group(self._config.identity, worker.container)
        spread_over_cpus(group)
        try:
            # Quicker than the runtime, and some of gVisor's versions refuse to do it.
            if not limit_cpu(group, limit):
                await self._client.limit_task(worker.container, {"cpu": limit})
        except (ContainerdError, ContainerdUnreachedError) as error:
            if not worker.ended:
                log.warning("worker keeps the CPU of its start", worker=worker.worker_id, error=str(error))

    async def ensure_image(self, image: str, sandbox: str) -> None:
        """See `port.Driver`."""
        snapshotter = self._snapshotter_of(self._runtimes.name_of(sandbox))
        await self._images_of(snapshotter).ensure(image)

    async def create(self, identity: Identity, spec: FunctionSpec) -> Worker:
        """See `port.Driver`. The function itself initialises with its first call."""
        if not self._host:
            raise DriverError("the driver has not started")
        runtime = self._runtimes.name_of(spec.sandbox)
        async with self._workers.starting(identity.worker_id):
            seen, marks = new_worker(self._box, identity, spec, self._host.cpus)
            name = self._config.identity.worker_name(spec.name, identity.worker_id)
            cpus = later_cpus(spec.memory_mb, self._host.cpus)
            worker = self._new(seen, name, cpus, spec.timeout_ms, self._snapshotter_of(runtime))
            launch = self._launcher.launch(worker, spec, {**marks, RUNTIME: runtime}, self._host)
            try:
                return await self._workers.launched(worker, launch)
            finally:
                if not worker.made:
                    self._forget(worker)

    async def destroy(self, worker_id: str) -> bool:
        """See `port.Driver`."""
        return await self._workers.destroy(worker_id)

    async def _erase(self, worker: ContainerdWorker) -> None:
        await erase(self._client, worker.container, worker.snapshotter)
        if worker.namespace:
            namespace, worker.namespace = worker.namespace, None
            await self._network.release(namespace)
        await worker.hush()
        await asyncio.to_thread(remove_directory, worker.directory)
        self._forget(worker)

    def _forget(self, worker: ContainerdWorker) -> None:
        """No event will be about it: there is no container of it."""
        if self._by_container.get(worker.container) is worker:
            del self._by_container[worker.container]

    def _on_event(self, event: Event) -> None:
        worker = self._by_container.get(event.container)
        if not worker or worker.ended:
            return
        if event.kind == "oom":
            # What was killed may be the function alone, with its emulator alive: no worker to go on with.
            worker.out_of_memory = True
            self._workers.end(worker, "out of memory (OOMKilled)", "oom")
        else:
            self._workers.end(worker, end_reason(event.exit_status, out_of_memory=False), "exit")

    async def _look(self) -> None:
        """Who has ended, or is gone, without an event that was heard?"""
        tasks = {task.id: task for task in await self._client.list_tasks()}
        for worker in self._workers.all():
            if worker.ended or not worker.ready:
                continue
            task = tasks.get(worker.container)
            if not task:
                # It may have been made after the list was.
                await self._look_at(worker)
            elif task.status is TaskStatus.STOPPED:
                self._workers.end(worker, end_reason(task.exit_status, out_of_memory=False), "exit")

    async def _look_at(self, worker: ContainerdWorker) -> None:
        try:
            await self._client.get_task(worker.container)
        except ContainerdError as error:
            if error.not_found and not worker.ended:
                self._workers.end(worker, REMOVED, "exit")

    async def pause(self, worker_id: str) -> Worker:
        """See `port.Driver`."""
        worker = self._workers.idle(worker_id)
        if not worker.paused:
            await self._change(worker, self._client.pause_task, TaskStatus.PAUSED)
            worker.paused = True
        return worker.view()

    async def resume(self, worker_id: str) -> Worker:
        """See `port.Driver`."""
        worker = self._workers.living(worker_id)
        if worker.paused:
            await self._change(worker, self._client.resume_task, TaskStatus.RUNNING)
            worker.paused = False
        return worker.view()

    async def _change(
        self, worker: ContainerdWorker, step: Callable[[str], Awaitable[None]], wanted: TaskStatus
    ) -> None:
        """Ask for it; fine when it is so already. Raises WorkerExitedError: it ended meanwhile."""
        try:
            await step(worker.container)
        except ContainerdError:
            await self._look()
            self._workers.living(worker.worker_id)
            if (await self._client.get_task(worker.container)).status is not wanted:
                raise

    async def find(self, worker_id: str) -> Worker | None:
        """See `port.Driver`."""
        return await self._workers.find(worker_id)

    async def list_workers(self) -> tuple[Worker, ...]:
        """See `port.Driver`."""
        return await self._workers.list_workers()

    async def metrics(self, worker_id: str) -> WorkerMetrics:
        """See `port.Driver`."""
        worker = self._workers.living(worker_id)
        try:
            measured = measure(worker_group(self._config.identity, worker.container), worker.pid)
        except OSError as error:
            raise WorkerExitedError(f"worker {worker_id}: {error}") from error
        return worker.metrics(measured)

    async def problems(self) -> tuple[str, ...]:
        """See `port.Driver`."""
        return tuple(one for one in (self._watch.trouble, self._network.problem) if one)

    async def close(self) -> None:
        """See `port.Driver`. Starts under way are undone, all other workers stay."""
        if self._closed:
            # The directories may be another agent's by now.
            return
        self._closed = True
        await self._workers.close()
        self._background.cancel()
        await self._background.settled()
        await self._workers.abandon()
        for images in self._images.values():
            await images.close()
        await self._network.close()
        await self._client.close()
        self._logs.close()
        self._state.release()
