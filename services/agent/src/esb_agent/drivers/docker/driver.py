"""Mode `docker`: workers are containers of a Docker Engine, which keeps them while agents come and go.

create   image (pulled) ─▶ container ─▶ started ─▶ its emulator listens ─▶ READY
end      the container ends, or memory runs out ─▶ EXITED ─destroy▶ gone
"""

import asyncio

import structlog

from esb_agent.drivers.background import Background
from esb_agent.drivers.docker import container
from esb_agent.drivers.docker.container import Found
from esb_agent.drivers.docker.engine import Engine, EngineError, EngineUnreachedError, Event
from esb_agent.drivers.docker.images import Images
from esb_agent.drivers.docker.launch import Launcher
from esb_agent.drivers.docker.measures import parse_stats
from esb_agent.drivers.docker.removal import erase
from esb_agent.drivers.docker.settings import DockerConfig
from esb_agent.drivers.docker.watch import Watch
from esb_agent.drivers.docker.worker import DockerWorker
from esb_agent.drivers.emulator_function import CPUS, CREATED, TIMEOUT, WORKER, later_cpus
from esb_agent.drivers.emulator_worker import new_worker
from esb_agent.drivers.emulator_workers import Workers
from esb_agent.drivers.log_files import LogFiles, Ship, on_the_loop
from esb_agent.drivers.state_dir import StateDirectory
from esb_agent.errors import ConfigError, DriverError, WorkerExitedError
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerMetrics
from esb_agent.tally import Tally

log = structlog.get_logger()
LISTEN_SECONDS = 30.0


class DockerDriver:
    """See `port.Driver`."""

    name = "docker"
    keeps_workers = True

    def __init__(self, config: DockerConfig, tally: Tally | None = None, ship: Ship | None = None) -> None:
        self._config = config
        self._labels = container.box_labels(config)
        self._state = StateDirectory(config.state_dir)
        self._logs = LogFiles(
            self._state.logs, config.log_max_bytes, config.log_backups, ship, later=on_the_loop
        )
        self._engine = Engine(config.host)
        self._images = Images(self._engine, config)
        self._launcher = Launcher(self._engine, self._images, config)
        self._watch = Watch(self._engine, self._labels, on_event=self._on_event, on_gap=self._look_again)
        self._workers = Workers[DockerWorker](
            self._state, self._logs, tally or Tally(), erase=self._erase, call_ended=self._call_ended
        )
        self._background = Background()
        self._closed = False

    async def start(self) -> None:
        """Take the state directory, find the engine, make the network, remove what is no worker."""
        try:
            self._state.take()
        except OSError as error:
            raise ConfigError(f"{self._state.root}: cannot be used as state directory: {error}") from error
        try:
            await self._engine.connect()
            await self._make_network()
            self._background.start(self._watch.run())
            await self._remove_dead()
        except (EngineError, EngineUnreachedError) as error:
            await self.close()
            raise ConfigError(f"ESB_AGENT_DRIVER=docker: {error}") from error
        about = self._engine.about
        log.info("engine found", version=about.version, api=about.api, cpus=about.cpus)

    async def _make_network(self) -> None:
        name = self._config.identity.network
        if not await self._engine.network_exists(name):
            try:
                await self._engine.create_network(name, self._labels)
            except EngineError as error:
                if error.status != 409:  # somebody else was quicker
                    raise

    async def _found(self) -> list[Found]:
        """This box's containers, oldest first."""
        ids = await self._engine.list_ids(self._labels)
        looked = await asyncio.gather(*(self._inspect(container_id) for container_id in ids))
        found = [one for one in looked if one]
        return sorted(found, key=lambda one: one.labels.get(CREATED, "").zfill(20))

    async def _inspect(self, container_id: str) -> Found | None:
        """None: gone meanwhile."""
        try:
            return await self._engine.inspect(container_id)
        except EngineError as error:
            if error.status == 404:
                return None
            raise

    async def _remove_dead(self) -> None:
        for found in await self._found():
            if not _is_worker(found):
                await erase(self._engine, found.container_id)
                log.warning("leftover of an earlier agent removed", container=found.container_id[:12])

    async def recover(self) -> tuple[Worker, ...]:
        """See `port.Driver`. What was printed meanwhile is logged now."""
        try:
            async with asyncio.timeout(LISTEN_SECONDS):
                await self._watch.listening()
        except TimeoutError:
            raise DriverError(self._watch.trouble or "the engine sends no events") from None
        for found in await self._found():
            if _is_worker(found):
                worker = self._register(
                    container.to_worker(found),
                    found.container_id,
                    int(found.labels[CPUS]),
                    int(found.labels[TIMEOUT]),
                    taken_back=True,
                )
                self._workers.add(worker)
                worker.made = worker.ready = True
                worker.paused = found.status == "paused"
        # Once more, now that their ends are heard of.
        await self._look_again()
        await asyncio.gather(*(worker.catch_up(self._engine) for worker in self._workers.all()))
        return await self.list_workers()

    def _register(
        self, seen: Worker, name: str, cpus: int, timeout_ms: int, *, taken_back: bool = False
    ) -> DockerWorker:
        calls, output = self._workers.output_of(seen, timeout_ms, taken_back=taken_back)
        return DockerWorker(seen, name, cpus, calls, output)

    def _call_ended(self, worker: DockerWorker) -> None:
        """With the first call its initialisation is over: from now on it has the CPU its memory gives it."""
        if cpus := worker.take_limit():
            self._background.start(self._limit(worker, cpus))

    async def _limit(self, worker: DockerWorker, cpus: int) -> None:
        try:
            await self._engine.limit_cpus(worker.container, cpus)
        except (EngineError, EngineUnreachedError) as error:
            if not worker.ended:
                log.warning("worker keeps the CPU of its start", worker=worker.worker_id, error=str(error))

    async def ensure_image(self, image: str, sandbox: str) -> None:
        """See `port.Driver`."""
        await self._images.user_of(image)

    async def create(self, identity: Identity, spec: FunctionSpec) -> Worker:
        """See `port.Driver`. The function itself initialises with its first call."""
        async with self._workers.starting(identity.worker_id):
            available = self._engine.about.cpus
            seen, marks = new_worker(self._labels, identity, spec, available)
            name = container.container_name(self._config, identity, spec)
            cpus = later_cpus(spec.memory_mb, available)
            worker = self._register(seen, name, cpus, spec.timeout_ms)
            return await self._workers.launched(worker, self._launcher.launch(worker, spec, marks))

    async def destroy(self, worker_id: str) -> bool:
        """See `port.Driver`."""
        return await self._workers.destroy(worker_id)

    async def _erase(self, worker: DockerWorker) -> None:
        await erase(self._engine, worker.container)

    def _on_event(self, event: Event) -> None:
        worker = self._workers.get(event.attributes.get(WORKER, ""))
        if not worker or worker.ended or worker.container != event.container_id:
            return
        if event.action == "oom":
            # What was killed may be the function alone, with its emulator alive: no worker to go on with.
            worker.out_of_memory = True
            self._workers.end(worker, "out of memory (OOMKilled)", "oom")
        elif event.action == "die":
            self._workers.end(worker, f"exit status {event.attributes.get('exitCode', '?')}", "exit")
        elif event.action == "destroy":
            self._workers.end(worker, "its container was removed", "exit")

    async def _look_again(self) -> None:
        """After events may have been missed: whose container has ended, or is gone?"""
        for worker in self._workers.all():
            if worker.ended or not worker.ready:
                continue
            try:
                found = await self._engine.inspect(worker.container)
            except EngineError as error:
                if error.status == 404:
                    self._workers.end(worker, "its container was removed", "exit")
                continue
            if not found.alive or found.oom_killed:
                self._workers.end(worker, container.end_reason(found), "oom" if found.oom_killed else "exit")
            worker.paused = found.status == "paused"

    async def pause(self, worker_id: str) -> Worker:
        """See `port.Driver`."""
        worker = self._workers.idle(worker_id)
        if not worker.paused:
            try:
                await self._engine.pause(worker.container)
            except EngineError as error:
                if "already paused" not in str(error):
                    self._workers.living(worker_id)
                    raise
            worker.paused = True
        return worker.view()

    async def resume(self, worker_id: str) -> Worker:
        """See `port.Driver`."""
        worker = self._workers.living(worker_id)
        if worker.paused:
            try:
                await self._engine.unpause(worker.container)
            except EngineError as error:
                if "not paused" not in str(error):
                    self._workers.living(worker_id)
                    raise
            worker.paused = False
        return worker.view()

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
            measured = parse_stats(await self._engine.stats(worker.container))
        except EngineError as error:
            self._workers.living(worker_id)
            raise WorkerExitedError(f"worker {worker_id}: {error}") from error
        return worker.metrics(measured)

    async def problems(self) -> tuple[str, ...]:
        """See `port.Driver`."""
        return (self._watch.trouble,) if self._watch.trouble else ()

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
        await self._images.close()
        await self._engine.close()
        self._logs.close()
        self._state.release()


def _is_worker(found: Found) -> bool:
    """It runs, and says all of itself that is needed to take it back."""
    try:
        container.to_worker(found)
        int(found.labels[CPUS])
        int(found.labels[TIMEOUT])
    except (KeyError, ValueError):
        return False
    return found.alive and not found.oom_killed and bool(found.address)
