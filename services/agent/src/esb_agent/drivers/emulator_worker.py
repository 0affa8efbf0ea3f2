"""One worker an engine keeps, called through its emulator: where in its life it is.

made ─▶ started ─▶ its emulator listens: ready ⇄ paused ─▶ ended, with its reason, until it is destroyed
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping

from attrs import evolve, frozen

from esb_agent.drivers import emulator_function
from esb_agent.drivers.emulator_output import Calls, Output
from esb_agent.drivers.function_error import error_json
from esb_agent.errors import DriverError, InitFailedError
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerMetrics, WorkerState

POLL_SECONDS = 0.002
CONNECT_SECONDS = 1.0


@frozen(kw_only=True)
class Measured:
    """Resident memory with what is written to /tmp, its peak as far as it is known, CPU time, tasks."""

    rss_bytes: int
    peak_bytes: int
    cpu_seconds: float
    tasks: int


class EmulatorWorker(ABC):
    """From before its container until after it."""

    def __init__(self, seen: Worker, container: str, cpus: int, calls: Calls, output: Output) -> None:
        self.seen = seen
        # What the engine knows it by.
        self.container = container
        # What it is limited to after its first call, in billionths; 0: as it is.
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

    def metrics(self, measured: Measured) -> WorkerMetrics:
        """What it uses, of what was measured now and what is known of its calls."""
        self.rss_peak_bytes = max(self.rss_peak_bytes, measured.rss_bytes, measured.peak_bytes)
        return WorkerMetrics(
            rss_bytes=measured.rss_bytes,
            rss_peak_bytes=self.rss_peak_bytes,
            cpu_seconds=measured.cpu_seconds,
            uptime_seconds=self.age_seconds,
            invocations=self.calls.invocations,
            errors=self.calls.errors,
            processes=measured.tasks,
        )

    def take_limit(self) -> int:
        """What it is to be limited to now that its first call is over; 0: it stays as it is."""
        cpus, self.cpus = self.cpus, 0
        return cpus

    async def finish(self, step: Awaitable[object]) -> None:
        """Ask the engine for something that goes on when the caller gives up; see `settled`."""
        self.step = asyncio.ensure_future(step)
        await asyncio.shield(self.step)

    async def settled(self) -> None:
        """Return when nothing is being done for it any more."""
        if self.step:
            await asyncio.gather(self.step, return_exceptions=True)

    @property
    @abstractmethod
    def reading(self) -> bool:
        """What it prints is read as it comes, not caught up with."""

    @abstractmethod
    async def hush(self) -> None:
        """Stop reading what it prints; what it said last is waited for a moment."""

    @abstractmethod
    async def abandon(self) -> None:
        """Stop reading at once."""

    async def wait_ready(self, seconds: float) -> None:
        """Return when a call can be sent.

        Raises:
            InitFailedError: it ended, or does not listen within the time.
            DriverError: there is no way to it from here.
        """
        if self.seen.address and await wait_open(self.seen.address, lambda: self.ended, seconds):
            self.ready = True
            return
        if self.ended:
            # Its last words say why.
            await self.hush()
            message = f"Error: Runtime exited with error: {self.ended}"
            raise InitFailedError(error_json("Runtime.ExitError", message).decode())
        port = emulator_function.PORT
        message = f"Init timed out after {seconds:.2f} seconds: nobody listens on port {port}"
        raise InitFailedError(error_json("Sandbox.Timedout", message).decode())


def new_worker(
    box: Mapping[str, str], identity: Identity, spec: FunctionSpec, available_cpus: int
) -> tuple[Worker, dict[str, str]]:
    """A worker that is to be, and the labels of its container; `box` is what all of the box have."""
    created = int(time.time() * 1000)
    nano_cpus = emulator_function.cpus(spec.memory_mb, available_cpus)
    marks = emulator_function.labels(box, identity, spec, created, nano_cpus)
    return emulator_function.from_labels(marks, WorkerState.STARTING, ""), marks


def end_reason(exit_status: int, *, out_of_memory: bool) -> str:
    """Why a worker ended, in words."""
    if out_of_memory:
        return f"out of memory (OOMKilled), exit status {exit_status}"
    return f"exit status {exit_status}"


async def wait_open(address: str, ended: Callable[[], str], seconds: float) -> bool:
    """Return True once somebody listens there; False: not within the time, or the worker ended.

    Raises:
        DriverError: for all that time there was no way to it from here.
    """
    host, _, port = address.removeprefix("http://").rpartition(":")
    deadline = time.monotonic() + seconds
    trouble: OSError | None = None
    while time.monotonic() < deadline and not ended():
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await asyncio.open_connection(host, int(port))
        except (ConnectionRefusedError, TimeoutError):
            trouble = None
        except OSError as error:
            trouble = error
        else:
            writer.close()
            return True
        await asyncio.sleep(POLL_SECONDS)
    if trouble and not ended():
        raise DriverError(f"{address}: cannot be reached from the agent: {trouble}") from trouble
    return False
