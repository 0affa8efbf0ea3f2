"""One worker: a container, what is known of it, and its output being read."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress

from attrs import evolve

from esb_agent.drivers.docker import container
from esb_agent.drivers.docker.container import Found
from esb_agent.drivers.docker.engine import Engine, EngineError, EngineUnreachedError
from esb_agent.drivers.emulator_output import Calls, Output, since
from esb_agent.drivers.docker.settings import DockerConfig
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerState

# How much of an earlier agent's time is read to know a worker's calls.
HISTORY_PIECES = 2000
AGAIN_SECONDS = 0.5
GATHER_SECONDS = 0.02
LAST_WORDS_SECONDS = 1.0


class DockerWorker:
    """From before its container until after it."""

    def __init__(self, seen: Worker, name: str, cpus: int, calls: Calls, output: Output) -> None:
        self.seen = seen
        # What the engine knows it by: its name until it has an id.
        self.container = name
        # What it is limited to after its first call; 0: as it is.
        self.cpus = cpus
        self.calls = calls
        self.output = output
        # The engine may have a container of it.
        self.made = False
        self.ready = False
        self.paused = False
        self.ended = ""
        self.out_of_memory = False
        self.rss_peak_bytes = 0
        # What the engine is doing for it and cannot be called off.
        self.step: asyncio.Future[object] | None = None
        self.reading: asyncio.Task[None] | None = None

    @property
    def worker_id(self) -> str:
        """As callers name it."""
        return self.seen.identity.worker_id

    @property
    def state(self) -> WorkerState:
        """As far as the engine and the worker's output tell."""
        if self.ended:
            return WorkerState.EXITED
        if not self.ready:
            return WorkerState.STARTING
        if self.paused:
            return WorkerState.PAUSED
        return WorkerState.BUSY if self.calls.busy else WorkerState.READY

    @property
    def age_seconds(self) -> float:
        """Since it began to be made."""
        return max(0.0, time.time() - self.seen.created_unix_ms / 1000)

    def view(self) -> Worker:
        """As callers see it."""
        return evolve(self.seen, state=self.state, exit_reason=self.ended)

    def started(self, found: Found) -> None:
        """It has an address now, or has ended already."""
        self.seen = container.to_worker(found)
        if not found.alive and not self.ended:
            self.ended = container.end_reason(found)

    async def finish(self, step: Awaitable[object]) -> None:
        """Ask the engine for something that goes on when the caller gives up; see `settled`."""
        self.step = asyncio.ensure_future(step)
        await asyncio.shield(self.step)

    async def settled(self) -> None:
        """Return when nothing is being done for it any more."""
        if self.step:
            await asyncio.gather(self.step, return_exceptions=True)

    def read_output(self, engine: Engine) -> None:
        """Begin to read what it prints, from where the last reading stopped."""
        self.reading = asyncio.create_task(self._read(engine))

    async def _read(self, engine: Engine) -> None:
        ended = False
        while not ended:
            # Once more after its end: what it said last may have come after the last reading.
            ended = bool(self.ended)
            try:
                after = since(self.output.last) if self.output.last else ""
                async for pieces in engine.output(self.container, follow=True, since=after):
                    self.output.feed(pieces)
                    # What comes meanwhile is read in one go: a call's output must not hold up the next call.
                    await asyncio.sleep(GATHER_SECONDS)
            except (EngineError, EngineUnreachedError):
                # Gone, or the engine is: the watch over events tells which.
                pass
            if not self.ended:
                await asyncio.sleep(AGAIN_SECONDS)
        self.output.flush()

    async def catch_up(self, engine: Engine) -> None:
        """Read what it printed until now, then go on reading. Raises EngineUnreachedError."""
        with suppress(EngineError):  # it ended meanwhile
            async for pieces in engine.output(self.container, follow=False, tail=HISTORY_PIECES):
                self.output.feed(pieces)
        self.read_output(engine)

    async def hush(self) -> None:
        """Stop reading; what it said last is waited for a moment."""
        if self.reading:
            await asyncio.wait((self.reading,), timeout=LAST_WORDS_SECONDS)
            await self.abandon()
        self.output.flush()

    async def abandon(self) -> None:
        """Stop reading at once."""
        if self.reading:
            self.reading.cancel()
            await asyncio.gather(self.reading, return_exceptions=True)
            self.reading = None


def new_worker(
    config: DockerConfig, identity: Identity, spec: FunctionSpec, available_cpus: int
) -> tuple[Worker, dict[str, str]]:
    """A worker that is to be, and the labels of its container."""
    created = int(time.time() * 1000)
    nano_cpus = container.cpus(spec.memory_mb, available_cpus)
    marks = container.labels(config, identity, spec, created, nano_cpus)
    seen = Worker(
        identity=identity,
        function=spec.name,
        image=spec.image,
        spec_digest=spec.digest(),
        state=WorkerState.STARTING,
        address="",
        created_unix_ms=created,
    )
    return seen, marks
