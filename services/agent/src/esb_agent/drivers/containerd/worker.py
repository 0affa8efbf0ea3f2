"""One worker: a containerd container with its task, its network namespace, and its output being read."""

import asyncio
from contextlib import suppress
from pathlib import Path

from esb_agent.drivers.containerd.network import Namespace
from esb_agent.drivers.containerd.output import Fifos
from esb_agent.drivers.emulator_output import Calls, Output
from esb_agent.drivers.emulator_worker import EmulatorWorker
from esb_agent.model import Worker

LAST_WORDS_SECONDS = 0.5


class ContainerdWorker(EmulatorWorker):
    """`directory` holds its FIFOs; `snapshotter` is its runtime's."""

    def __init__(
        self,
        seen: Worker,
        container: str,
        cpus: int,
        calls: Calls,
        output: Output,
        *,
        directory: Path,
        snapshotter: str,
    ) -> None:
        super().__init__(seen, container, cpus, calls, output)
        self.directory = directory
        self.snapshotter = snapshotter
        self.namespace: Namespace | None = None
        self.pid = 0
        self.fifos = Fifos(directory, output, calls)

    @property
    def reading(self) -> bool:
        """See `EmulatorWorker`."""
        return self.fifos.reading

    async def hush(self) -> None:
        """See `EmulatorWorker`."""
        if self.fifos.reading:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await self.fifos.drained.wait()
        await self.abandon()

    async def abandon(self) -> None:
        """See `EmulatorWorker`."""
        self.fifos.close()
        # The next agent reads on behind what was read of an unfinished line.
        self.output.flush()
