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
from esb_agent.drivers.emulator_output import Calls, Output, last_written
from esb_agent.drivers.docker.removal import erase
from esb_agent.drivers.docker.settings import DockerConfig
from esb_agent.drivers.docker.watch import Watch
from esb_agent.drivers.docker.worker import DockerWorker, new_worker
from esb_agent.drivers.log_files import LogFiles, Ship
from esb_agent.drivers.state_dir import StateDirectory
from esb_agent.errors import (
    ConfigError,
    DriverError,
    WorkerBusyError,
    WorkerExitedError,
    WorkerNotFoundError,
)
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerMetrics, WorkerState
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
        self._tally = tally or Tally()
        self._state = StateDirectory(config.state_dir)
        self._logs = LogFiles(self._state.logs, config.log_max_bytes, config.log_backups, ship)
        self._engine = Engine(config.host)
        self._images = Images(self._engine, config)
        self._launcher = Launcher(self._engine, self._images, config)
        self._watch = Watch(self._engine, self._labels, on_event=self._on_event, on_gap=self._look_again)
        self._workers: dict[str, DockerWorker] = {}
        self._removals: dict[str, asyncio.Task[None]] = {}
        self._starts: set[asyncio.Task[object]] = set()
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
        return sorted(found, key=lambda one: one.labels.get(container.CREATED, "").zfill(20))

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
                seen = container.to_worker(found)
                log_file = self._state.logs / f"{seen.function}.log"
                worker = self._register(
                    seen,
                    found.container_id,
                    int(found.labels[container.CPUS]),
                    int(found.labels[container.TIMEOUT]),
                    last_written(log_file, seen.identity.worker_id),
                )
                worker.made = worker.ready = True
                worker.paused = found.status == "paused"
        # Once more, now that their ends are heard of.
        await self._look_again()
        await asyncio.gather(*(worker.catch_up(self._engine) for worker in self._workers.values()))
        return await self.list_workers()

    def _register(
        self, seen: Worker, name: str, cpus: int, timeout_ms: int, written: str = ""
    ) -> DockerWorker:
        worker_id, function = seen.identity.worker_id, seen.function
        file = self._logs.of(function)
        calls = Calls(timeout_ms, lambda: self._count_call(worker_id), lambda: self._call_ended(worker_id))
        worker = DockerWorker(seen, name, cpus, calls, Output(worker_id, calls, file.write, written))
        self._workers[worker_id] = worker
        return worker

    def _count_call(self, worker_id: str) -> None:
        worker = self._workers.get(worker_id)
        # What an earlier agent's time brings to light is not counted again.
        if worker and worker.reading:
            self._tally.calls[worker.seen.function] += 1

    def _call_ended(self, worker_id: str) -> None:
        """With the first call its initialisation is over: from now on it has the CPU its memory gives it."""
        worker = self._workers.get(worker_id)
        if worker and worker.cpus:
            cpus, worker.cpus = worker.cpus, 0
            self._background.start(self._limit(worker, cpus))

    async def _limit(self, worker: DockerWorker, cpus: int) -> None:
        try:
            await self._engine.limit_cpus(worker.container, cpus)
        except (EngineError, EngineUnreachedError) as error:
            if not worker.ended:
                log.warning("worker keeps the CPU of its start", worker=worker.worker_id, error=str(error))

    async def create(self, identity: Identity, spec: FunctionSpec) -> Worker:
        """See `port.Driver`. The function itself initialises with its first call."""
        task = asyncio.current_task()
        if task:
            self._starts.add(task)
        try:
            if removal := self._removals.get(identity.worker_id):
                # Its container still has the name.
                await asyncio.shield(removal)
            seen, marks = new_worker(self._config, identity, spec, self._engine.about.cpus)
            name = container.container_name(self._config, identity, spec)
            cpus = int(marks[container.CPUS])
            if cpus == container.start_cpus(spec.memory_mb, self._engine.about.cpus):
                cpus = 0
            worker = self._register(seen, name, cpus, spec.timeout_ms)
            try:
                await self._launcher.launch(worker, spec, marks)
            except BaseException:
                # Also when cancelled: nobody will ever ask for this worker again.
                await self._remove(worker, "never became ready")
                raise
        finally:
            if task:
                self._starts.discard(task)
        return worker.view()

    async def destroy(self, worker_id: str) -> bool:
        """See `port.Driver`."""
        worker = self._workers.get(worker_id)
        if worker:
            await self._remove(worker, "destroyed")
        elif removal := self._removals.get(worker_id):
            await asyncio.shield(removal)
        return worker is not None

    async def _remove(self, worker: DockerWorker, why: str) -> None:
        """To its end even when whoever waits for it gives up: half removed, it would be known to nobody."""
        self._workers.pop(worker.worker_id, None)
        if not worker.ended:
            self._end(worker, why, "destroyed" if worker.ready else "")
        removal = asyncio.create_task(self._clear_away(worker))
        self._removals[worker.worker_id] = removal
        removal.add_done_callback(lambda _: self._removals.pop(worker.worker_id, None))
        # Whoever asked for it may have given up; then nobody is to be told.
        removal.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(removal)

    async def _clear_away(self, worker: DockerWorker) -> None:
        await worker.settled()
        try:
            if worker.made:
                await erase(self._engine, worker.container)
        except DriverError:
            # It is still there: known, so that it can be destroyed again.
            self._workers.setdefault(worker.worker_id, worker)
            raise
        await worker.hush()
        if not any(other.seen.function == worker.seen.function for other in self._workers.values()):
            self._logs.release(worker.seen.function)

    def _on_event(self, event: Event) -> None:
        worker = self._workers.get(event.attributes.get(container.WORKER, ""))
        if not worker or worker.ended or worker.container != event.container_id:
            return
        if event.action == "oom":
            # What was killed may be the function alone, with its emulator alive: no worker to go on with.
            worker.out_of_memory = True
            self._end(worker, "out of memory (OOMKilled)", "oom")
        elif event.action == "die":
            self._end(worker, f"exit status {event.attributes.get('exitCode', '?')}", "exit")
        elif event.action == "destroy":
            self._end(worker, "its container was removed", "exit")

    def _end(self, worker: DockerWorker, reason: str, cause: str) -> None:
        worker.ended = reason
        if cause:
            self._tally.ended[worker.seen.function, cause] += 1
            log.info("worker ended", worker=worker.worker_id, function=worker.seen.function, reason=reason)

    async def _look_again(self) -> None:
        """After events may have been missed: whose container has ended, or is gone?"""
        for worker in list(self._workers.values()):
            if worker.ended or not worker.ready:
                continue
            try:
                found = await self._engine.inspect(worker.container)
            except EngineError as error:
                if error.status == 404:
                    self._end(worker, "its container was removed", "exit")
                continue
            if not found.alive or found.oom_killed:
                self._end(worker, container.end_reason(found), "oom" if found.oom_killed else "exit")
            worker.paused = found.status == "paused"

    def _living(self, worker_id: str) -> DockerWorker:
        worker = self._workers.get(worker_id)
        if not worker:
            raise WorkerNotFoundError(f"no worker {worker_id}")
        if worker.ended:
            raise WorkerExitedError(f"worker {worker_id} has exited: {worker.ended}")
        return worker

    async def pause(self, worker_id: str) -> Worker:
        """See `port.Driver`."""
        worker = self._living(worker_id)
        if worker.state in (WorkerState.BUSY, WorkerState.STARTING):
            raise WorkerBusyError(f"worker {worker_id} is {worker.state.value}")
        if not worker.paused:
            try:
                await self._engine.pause(worker.container)
            except EngineError as error:
                if "already paused" not in str(error):
                    self._living(worker_id)
                    raise
            worker.paused = True
        return worker.view()

    async def resume(self, worker_id: str) -> Worker:
        """See `port.Driver`."""
        worker = self._living(worker_id)
        if worker.paused:
            try:
                await self._engine.unpause(worker.container)
            except EngineError as error:
                if "not paused" not in str(error):
                    self._living(worker_id)
                    raise
            worker.paused = False
        return worker.view()

    async def find(self, worker_id: str) -> Worker | None:
        """See `port.Driver`."""
        worker = self._workers.get(worker_id)
        return worker.view() if worker else None

    async def list_workers(self) -> tuple[Worker, ...]:
        """See `port.Driver`."""
        return tuple(worker.view() for worker in self._workers.values())

    async def metrics(self, worker_id: str) -> WorkerMetrics:
        """See `port.Driver`."""
        worker = self._living(worker_id)
        try:
            measured = parse_stats(await self._engine.stats(worker.container))
        except EngineError as error:
            self._living(worker_id)
            raise WorkerExitedError(f"worker {worker_id}: {error}") from error
        worker.rss_peak_bytes = max(worker.rss_peak_bytes, measured.rss_bytes, measured.peak_bytes)
        return WorkerMetrics(
            rss_bytes=measured.rss_bytes,
            rss_peak_bytes=worker.rss_peak_bytes,
            cpu_seconds=measured.cpu_seconds,
            uptime_seconds=worker.age_seconds,
            invocations=worker.calls.invocations,
            errors=worker.calls.errors,
            processes=measured.tasks,
        )

    async def problems(self) -> tuple[str, ...]:
        """See `port.Driver`."""
        return (self._watch.trouble,) if self._watch.trouble else ()

    async def close(self) -> None:
        """See `port.Driver`. Starts under way are undone, all other workers stay."""
        if self._closed:
            # The directories may be another agent's by now.
            return
        self._closed = True
        for start in self._starts:
            start.cancel()
        await asyncio.gather(*self._starts, return_exceptions=True)
        await asyncio.gather(*self._removals.values(), return_exceptions=True)
        self._background.cancel()
        await self._background.settled()
        for worker in self._workers.values():
            await worker.abandon()
        await self._images.close()
        await self._engine.close()
        self._logs.close()
        self._state.release()


def _is_worker(found: Found) -> bool:
    """It runs, and says all of itself that is needed to take it back."""
    try:
        container.to_worker(found)
        int(found.labels[container.CPUS])
        int(found.labels[container.TIMEOUT])
    except (KeyError, ValueError):
        return False
    return found.alive and not found.oom_killed and bool(found.address)
