"""One worker: a container, what is known of it, and its output being read."""

import asyncio
from contextlib import suppress

from esb_agent.drivers.docker import container
from esb_agent.drivers.docker.container import Found
from esb_agent.drivers.docker.engine import Engine, EngineError, EngineUnreachedError
from esb_agent.drivers.emulator_output import Calls, Output, since
from esb_agent.drivers.emulator_worker import EmulatorWorker
from esb_agent.model import Worker

# How much of an earlier agent's time is read to know a worker's calls.
HISTORY_PIECES = 2000
AGAIN_SECONDS = 0.5
GATHER_SECONDS = 0.02
LAST_WORDS_SECONDS = 1.0


class DockerWorker(EmulatorWorker):
    """From before its container until after it. Until it has an id its name is what the engine knows."""

    def __init__(self, seen: Worker, name: str, cpus: int, calls: Calls, output: Output) -> None:
        super().__init__(seen, name, cpus, calls, output)
        self._reading: asyncio.Task[None] | None = None

    @property
    def reading(self) -> bool:
        """See `EmulatorWorker`."""
        return self._reading is not None

    def started(self, found: Found) -> None:
        """It has an address now, or has ended already."""
        self.seen = container.to_worker(found)
        if not found.alive and not self.ended:
            self.ended = container.end_reason(found)

    def read_output(self, engine: Engine) -> None:
        """Begin to read what it prints, from where the last reading stopped."""
        self._reading = asyncio.create_task(self._read(engine))

    async def _read(self, engine: Engine) -> None:
        ended = False
        while not ended:
            # Once more after its end: what it said last may have come after the last reading.
            ended = bool(self.ended)
            try:
                after = since(self.output.last) if self.output.last else ""
                # Gathered: a call's output must not hold up the next call.
                printed = engine.output(self.container, follow=True, since=after, gather=GATHER_SECONDS)
                async for pieces in printed:
                    self.output.feed(pieces)
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
        """See `EmulatorWorker`."""
        if self._reading:
            await asyncio.wait((self._reading,), timeout=LAST_WORDS_SECONDS)
            await self.abandon()
        self.output.flush()

    async def abandon(self) -> None:
        """See `EmulatorWorker`."""
        if self._reading:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None
