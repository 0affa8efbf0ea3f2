"""The workers of a driver whose engine keeps them: who is known, who is starting, who is being removed.

add ─▶ starting ─▶ known ─end▶ exited ─remove▶ its container erased, its output read to the end, forgotten
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import structlog

from esb_agent.drivers.emulator_output import Calls, Output, last_written
from esb_agent.drivers.emulator_worker import EmulatorWorker
from esb_agent.drivers.log_files import LogFiles
from esb_agent.drivers.state_dir import StateDirectory
from esb_agent.errors import (
    DriverError,
    WorkerBusyError,
    WorkerExitedError,
    WorkerNotFoundError,
)
from esb_agent.model import Worker, WorkerState
from esb_agent.tally import Tally

log = structlog.get_logger()
W = TypeVar("W", bound=EmulatorWorker)


class Workers(Generic[W]):
    """`erase` removes a worker's container, `call_ended` is told of a worker whose call is over."""

    def __init__(
        self,
        state: StateDirectory,
        logs: LogFiles,
        tally: Tally,
        *,
        erase: Callable[[W], Awaitable[None]],
        call_ended: Callable[[W], None],
    ) -> None:
        self._state = state
        self._logs = logs
        self._tally = tally
        self._erase = erase
        self._tell_call_ended = call_ended
        self._known: dict[str, W] = {}
        self._removals: dict[str, asyncio.Task[None]] = {}
        self._starts: set[asyncio.Task[object]] = set()

    def output_of(self, seen: Worker, timeout_ms: int, *, taken_back: bool = False) -> tuple[Calls, Output]:
        """What follows the worker's calls and writes its log; one taken back has entries in it already."""
        worker_id = seen.identity.worker_id
        calls = Calls(timeout_ms, lambda: self._count_call(worker_id), lambda: self._call_ended(worker_id))
        log_file = self._state.logs / f"{seen.function}.log"
        written = last_written(log_file, worker_id) if taken_back else ""
        return calls, Output(worker_id, calls, self._logs.of(seen.function).write, written)

    def _count_call(self, worker_id: str) -> None:
        worker = self._known.get(worker_id)
        # What an earlier agent's time brings to light is not counted again.
        if worker and worker.reading:
            self._tally.calls[worker.seen.function] += 1

    def _call_ended(self, worker_id: str) -> None:
        if worker := self._known.get(worker_id):
            self._tell_call_ended(worker)

    def add(self, worker: W) -> None:
        """From now on it is known."""
        self._known[worker.worker_id] = worker

    def get(self, worker_id: str) -> W | None:
        """The worker of this id, if it is known."""
        return self._known.get(worker_id)

    async def find(self, worker_id: str) -> Worker | None:
        """See `port.Driver`."""
        worker = self._known.get(worker_id)
        return worker.view() if worker else None

    async def list_workers(self) -> tuple[Worker, ...]:
        """See `port.Driver`."""
        return tuple(worker.view() for worker in self.all())

    def all(self) -> tuple[W, ...]:
        """All that are known, in the order they were added."""
        return tuple(self._known.values())

    def living(self, worker_id: str) -> W:
        """One that has not ended. Raises WorkerNotFoundError, WorkerExitedError."""
        worker = self._known.get(worker_id)
        if not worker:
            raise WorkerNotFoundError(f"no worker {worker_id}")
        if worker.ended:
            raise WorkerExitedError(f"worker {worker_id} has exited: {worker.ended}")
        return worker

    def idle(self, worker_id: str) -> W:
        """One that has not ended and holds no call. Raises WorkerBusyError, too."""
        worker = self.living(worker_id)
        if worker.state in (WorkerState.BUSY, WorkerState.STARTING):
            raise WorkerBusyError(f"worker {worker_id} is {worker.state.value}")
        return worker

    def end(self, worker: W, reason: str, cause: str) -> None:
        """It has ended; `cause` is what it counts as, "" for nothing."""
        worker.ended = reason
        if cause:
            self._tally.ended[worker.seen.function, cause] += 1
            log.info("worker ended", worker=worker.worker_id, function=worker.seen.function, reason=reason)

    @asynccontextmanager
    async def starting(self, worker_id: str) -> AsyncIterator[None]:
        """Around a start: begins when an earlier worker of the id is gone; `close` cancels it."""
        task = asyncio.current_task()
        if task:
            self._starts.add(task)
        try:
            if removal := self._removals.get(worker_id):
                # Its container still has the name.
                await asyncio.shield(removal)
            yield
        finally:
            if task:
                self._starts.discard(task)

    async def launched(self, worker: W, launch: Awaitable[None]) -> Worker:
        """Known from now on, and gone if its launch fails or is cancelled: nobody would ask for it again."""
        self.add(worker)
        try:
            await launch
        except BaseException:
            await self.remove(worker, "never became ready")
            raise
        return worker.view()

    async def destroy(self, worker_id: str) -> bool:
        """See `port.Driver`."""
        worker = self._known.get(worker_id)
        if worker:
            await self.remove(worker, "destroyed")
        elif removal := self._removals.get(worker_id):
            await asyncio.shield(removal)
        return worker is not None

    async def remove(self, worker: W, why: str) -> None:
        """To its end even when whoever waits for it gives up: half removed, it would be known to nobody."""
        self._known.pop(worker.worker_id, None)
        if not worker.ended:
            self.end(worker, why, "destroyed" if worker.ready else "")
        removal = asyncio.create_task(self._clear_away(worker))
        self._removals[worker.worker_id] = removal
        removal.add_done_callback(lambda _: self._removals.pop(worker.worker_id, None))
        # Whoever asked for it may have given up; then nobody is to be told.
        removal.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(removal)

    async def _clear_away(self, worker: W) -> None:
        await worker.settled()
        try:
            if worker.made:
                await self._erase(worker)
        except DriverError:
            # It is still there: known, so that it can be destroyed again.
            self._known.setdefault(worker.worker_id, worker)
            raise
        await worker.hush()
        if not any(other.seen.function == worker.seen.function for other in self._known.values()):
            self._logs.release(worker.seen.function)

    async def close(self) -> None:
        """Starts under way are undone, removals waited for; all other workers stay, unread."""
        for start in self._starts:
            start.cancel()
        await asyncio.gather(*self._starts, return_exceptions=True)
        await asyncio.gather(*self._removals.values(), return_exceptions=True)

    async def abandon(self) -> None:
        """Stop reading what they print."""
        for worker in self._known.values():
            await worker.abandon()
