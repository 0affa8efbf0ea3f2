"""Mode `process`: workers are processes of this host, started by a keeper, and called over unix sockets.

create   image ─▶ servers ─▶ keeper spawns ─▶ runtime asks for its first call ─▶ READY
end      a call times out, memory runs out, the process exits, or destroy ─▶ EXITED ─destroy▶ gone
"""

import asyncio
import os
import secrets
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import structlog
from attrs import frozen

from esb_agent.drivers.background import Background
from esb_agent.drivers.log_files import LogFiles, Ship, on_the_loop
from esb_agent.drivers.process import launch, leftovers, watch
from esb_agent.drivers.process.images import ImageStore
from esb_agent.drivers.process.keeper import procfs
from esb_agent.drivers.process.keeper.client import KeeperClient
from esb_agent.drivers.process.payloads import crashed, destroyed
from esb_agent.drivers.process.worker import Paths, ProcessWorker
from esb_agent.drivers.state_dir import StateDirectory, boot_id
from esb_agent.errors import (
    AgentError,
    ConfigError,
    DriverError,
    WorkerBusyError,
    WorkerExitedError,
    WorkerNotFoundError,
)
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerMetrics
from esb_agent.tally import Tally
from esb_agent.unix_socket import SocketDirectory

log = structlog.get_logger()
EXIT_SECONDS = 5.0
RECOVER_SECONDS = 1.0


@frozen(kw_only=True)
class ProcessConfig:
    """Where things are, and how long they may take."""

    state_dir: Path
    layout: Path
    python: str
    init_seconds: float = 10.0
    drain_seconds: float = 2.0
    log_max_bytes: int = 10 * 1024 * 1024
    log_backups: int = 3
    fork: bool = True


class ProcessDriver:
    """See `port.Driver`."""

    name = "process"
    keeps_workers = False

    def __init__(self, config: ProcessConfig, tally: Tally | None = None, ship: Ship | None = None) -> None:
        self._config = config
        self._tally = tally or Tally()
        self._state = StateDirectory(config.state_dir)
        self._sockets = SocketDirectory(config.state_dir)
        self._images = ImageStore(config.layout, self._state.rootfs)
        self._logs = LogFiles(
            self._state.logs, config.log_max_bytes, config.log_backups, ship, later=on_the_loop
        )
        self._keeper = KeeperClient(config.python, self._on_exit, self._on_keeper_lost)
        self._interpreter: launch.Interpreter | None = None
        # By worker id: all there are. By run: those whose process the keeper may still speak of.
        self._workers: dict[str, ProcessWorker] = {}
        self._runs: dict[str, ProcessWorker] = {}
        self._warned: set[str] = set()
        self._background = Background()
        self._removals = Background()
        self._closed = False

    async def start(self) -> None:
        """Take the state directory, end and remove what an earlier life left there, start the keeper."""
        try:
            self._state.take()
            found = await asyncio.to_thread(leftovers.end_leftovers, self._state.workers)
            self._sockets.make()
            await asyncio.to_thread(self._images.clean, boot_id())
        except OSError as error:
            raise ConfigError(f"{self._state.root}: cannot be used as state directory: {error}") from error
        if found:
            log.warning("leftovers of an earlier agent ended", processes=found)
        await self._start_keeper()
        watched = watch.watch_memory(lambda: list(self._runs.values()), lambda: self._keeper.pid)
        self._background.start(watched)

    async def recover(self) -> tuple[Worker, ...]:
        """See `port.Driver`: they die with their agent."""
        return ()

    async def _start_keeper(self) -> None:
        ready = await self._keeper.start()
        if not ready.client:
            await self._keeper.stop()
            raise ConfigError(f"{self._config.python}: awslambdaric is not installed for this interpreter")
        self._interpreter = launch.Interpreter(path=self._config.python, ready=ready, fork=self._config.fork)

    async def ensure_image(self, image: str, sandbox: str) -> None:
        """See `port.Driver`. The layout is on this machine: nothing has to be fetched."""
        self._images.check(image)

    async def create(self, identity: Identity, spec: FunctionSpec) -> Worker:
        """See `port.Driver`."""
        launch.check_runtime(spec)
        worker = ProcessWorker(
            identity,
            spec,
            self._paths(identity),
            self._logs.of(spec.name),
            kill=self._keeper.kill,
            tally=self._tally,
        )
        self._workers[identity.worker_id] = worker
        try:
            await self._launch(worker)
            await worker.wait_ready(self._config.init_seconds)
        except BaseException:
            # Also when cancelled: nobody will ever ask for this worker again.
            await self._remove(worker, "never became ready")
            raise
        return worker.view()

    def _paths(self, identity: Identity) -> Paths:
        directory = self._state.workers / f"{identity.worker_id}.{secrets.token_hex(4)}"
        return Paths(directory=directory, temporary=directory / "tmp", socket=self._sockets.new())

    async def _launch(self, worker: ProcessWorker) -> None:
        if not self._interpreter:
            raise DriverError("the keeper of the workers is being started again")
        self._warn_of_version(worker.spec, self._interpreter)
        image = await self._images.get(worker.spec.image)
        try:
            worker.paths.temporary.mkdir(mode=0o700, parents=True)
            runtime_api = await worker.open_servers()
            pipes = worker.open_pipes()
        except OSError as error:
            raise DriverError(f"worker {worker.identity.worker_id} cannot be made: {error}") from error
        try:
            spawn = launch.prepare(worker, image, runtime_api, self._interpreter)
            worker.check_not_ended()
            self._runs[worker.run] = worker
            worker.spawning = True
            worker.process = await self._keeper.spawn(spawn, *pipes)
        except AgentError:
            # No process came of it, so none will be reported to have ended.
            self._runs.pop(worker.run, None)
            raise
        finally:
            for pipe in pipes:
                os.close(pipe)
        record = leftovers.Record(worker.process.pid, worker.process.start_ticks)
        with suppress(OSError):
            leftovers.write_record(worker.paths.directory, record)

    def _warn_of_version(self, spec: FunctionSpec, interpreter: launch.Interpreter) -> None:
        if launch.version_differs(spec, interpreter) and spec.name not in self._warned:
            self._warned.add(spec.name)
            log.warning(
                "function asks for another Python than runs it",
                function=spec.name,
                runtime=spec.runtime,
                python=interpreter.ready.python,
            )

    async def destroy(self, worker_id: str) -> bool:
        """See `port.Driver`."""
        worker = self._workers.get(worker_id)
        if worker:
            await self._remove(worker, "destroyed")
        return worker is not None

    async def _remove(self, worker: ProcessWorker, why: str) -> None:
        """To its end even when whoever waits for it gives up: half removed, it would be known to nobody."""
        if self._workers.get(worker.identity.worker_id) is worker:
            del self._workers[worker.identity.worker_id]
        worker.end(destroyed(why))
        await asyncio.shield(self._removals.start(self._clear_away(worker)))

    async def _clear_away(self, worker: ProcessWorker) -> None:
        if worker.run in self._runs:
            self._keeper.kill(worker.run)
            with suppress(TimeoutError):
                await asyncio.wait_for(worker.exited.wait(), EXIT_SECONDS)
        await worker.settled()
        worker.close()
        if not any(other.spec.name == worker.spec.name for other in self._workers.values()):
            self._logs.release(worker.spec.name)
        await asyncio.to_thread(shutil.rmtree, worker.paths.directory, ignore_errors=True)

    def _on_exit(self, run: str, status: int) -> None:
        worker = self._runs.pop(run, None)
        if worker:
            worker.process_ended(crashed(status))
            ending = worker.exchange.ending
            log.info(
                "worker ended",
                worker=worker.identity.worker_id,
                function=worker.spec.name,
                reason=ending.reason if ending else "",
            )

    def _on_keeper_lost(self) -> None:
        """Its workers die with it; end what they started, and start another."""
        log.error("the keeper of the workers ended; all workers are lost", workers=len(self._runs))
        self._interpreter = None
        for worker in list(self._runs.values()):
            worker.process_ended(destroyed("lost with its keeper"))
        self._runs.clear()
        self._background.start(self._recover())

    async def _recover(self) -> None:
        await self._keeper.stop()
        while not self._interpreter:
            try:
                await asyncio.to_thread(leftovers.end_leftovers, self._state.workers)
                await self._start_keeper()
            except (ConfigError, OSError) as error:
                log.error("the keeper cannot be started", error=str(error))  # noqa: TRY400 - the text says it all
                await asyncio.sleep(RECOVER_SECONDS)

    async def pause(self, worker_id: str) -> Worker:
        """See `port.Driver`."""
        worker = self._living(worker_id)
        if worker.state in watch.WATCHED:
            raise WorkerBusyError(f"worker {worker_id} is {worker.state.value}")
        worker.exchange.paused = True
        self._keeper.signal(worker.run, signal.SIGSTOP)
        return worker.view()

    async def resume(self, worker_id: str) -> Worker:
        """See `port.Driver`."""
        worker = self._living(worker_id)
        if worker.exchange.paused:
            self._keeper.signal(worker.run, signal.SIGCONT)
            worker.exchange.paused = False
        return worker.view()

    def _known(self, worker_id: str) -> ProcessWorker:
        worker = self._workers.get(worker_id)
        if not worker:
            raise WorkerNotFoundError(f"no worker {worker_id}")
        return worker

    def _living(self, worker_id: str) -> ProcessWorker:
        worker = self._known(worker_id)
        if worker.exchange.ending:
            raise WorkerExitedError(f"worker {worker_id} has exited: {worker.exchange.ending.reason}")
        return worker

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
        orphans = watch.strays(self._runs.values(), self._keeper.pid)
        pids = watch.worker_processes(worker, orphans)
        rss = procfs.resident_bytes(pids)
        worker.rss_peak_bytes = max(worker.rss_peak_bytes, rss)
        stats = [stat for pid in pids if (stat := procfs.read_stat(pid))]
        return WorkerMetrics(
            rss_bytes=rss,
            rss_peak_bytes=worker.rss_peak_bytes,
            cpu_seconds=sum(stat.cpu_ticks for stat in stats) / procfs.TICKS_PER_SECOND,
            uptime_seconds=worker.age_seconds,
            invocations=worker.exchange.invocations,
            errors=worker.exchange.errors,
            processes=len(stats),
        )

    async def problems(self) -> tuple[str, ...]:
        """See `port.Driver`."""
        keeper = "" if self._interpreter else "the keeper of the workers is being started again"
        return tuple(problem for problem in (self._images.problem(), keeper) if problem)

    async def _retire(self, worker: ProcessWorker) -> None:
        """An idle one goes at once: a call that comes now is refused, and so safe to send elsewhere."""
        with suppress(TimeoutError):
            await asyncio.wait_for(worker.exchange.idle(), self._config.drain_seconds)
        await self._remove(worker, "the agent stopped")

    async def close(self) -> None:
        """See `port.Driver`."""
        if self._closed:
            # The directories may be another agent's by now.
            return
        self._closed = True
        self._background.cancel()
        await asyncio.gather(*(self._retire(worker) for worker in list(self._workers.values())))
        await self._removals.settled()
        await self._background.settled()
        await self._keeper.stop()
        self._logs.close()
        self._sockets.remove()
        self._state.release()
