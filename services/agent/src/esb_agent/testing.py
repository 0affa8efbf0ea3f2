"""A driver in memory: what the port promises, without processes. For tests of what stands on the port."""

import json
import time
from collections.abc import Callable

from attrs import define, field

from esb_agent.drivers.port import Driver
from esb_agent.errors import (
    ImageNotFoundError,
    InitFailedError,
    WorkerBusyError,
    WorkerExitedError,
    WorkerNotFoundError,
)
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerMetrics, WorkerState

Handler = Callable[[bytes], bytes]


@define
class FakeWorker:
    """One worker."""

    identity: Identity
    spec: FunctionSpec
    state: WorkerState = WorkerState.READY
    exit_reason: str = ""
    invocations: int = 0
    created: float = field(factory=time.time)

    def view(self) -> Worker:
        """As callers see it."""
        return Worker(
            identity=self.identity,
            function=self.spec.name,
            image=self.spec.image,
            spec_digest=self.spec.digest(),
            state=self.state,
            address=f"unix:/fake/{self.identity.worker_id}",
            created_unix_ms=int(self.created * 1000),
            exit_reason=self.exit_reason,
        )


class FakeDriver(Driver):
    """`images`: reference -> what its function does; a None stands for one that does not initialise.

    `engine`: where workers live on when the driver is closed; without one they end with it.
    """

    name = "fake"

    def __init__(
        self, images: dict[str, Handler | None], engine: dict[str, FakeWorker] | None = None
    ) -> None:
        self.images = images
        self.engine = engine
        self.workers: dict[str, FakeWorker] = {}
        self.started = False

    async def start(self) -> None:
        """See `port.Driver`."""
        self.started = True

    @property
    def keeps_workers(self) -> bool:
        """See `port.Driver`."""
        return self.engine is not None

    async def recover(self) -> tuple[Worker, ...]:
        """See `port.Driver`."""
        self.workers = dict(self.engine or {})
        return tuple(worker.view() for worker in self.workers.values())

    async def ensure_image(self, image: str, sandbox: str) -> None:
        """See `port.Driver`."""
        if image not in self.images:
            raise ImageNotFoundError(f"{image}: not among {len(self.images)} images")

    async def create(self, identity: Identity, spec: FunctionSpec) -> Worker:
        """See `port.Driver`."""
        await self.ensure_image(spec.image, spec.sandbox)
        if self.images[spec.image] is None:
            raise InitFailedError(
                json.dumps({"errorType": "Runtime.ImportModuleError", "errorMessage": "no module"})
            )
        worker = FakeWorker(identity, spec)
        self.workers[identity.worker_id] = worker
        if self.engine is not None:
            self.engine[identity.worker_id] = worker
        return worker.view()

    def invoke(self, address: str, payload: bytes) -> bytes:
        """Call the worker at this address.

        Raises WorkerBusyError when it is paused, WorkerExitedError when it has exited.
        """
        worker = next(w for w in self.workers.values() if w.view().address == address)
        if worker.state is WorkerState.PAUSED:
            raise WorkerBusyError("paused")
        if worker.state is WorkerState.EXITED:
            raise WorkerExitedError("exited")
        worker.invocations += 1
        handler = self.images[worker.spec.image]
        return handler(payload) if handler else b""

    def crash(self, worker_id: str, reason: str) -> None:
        """The worker ends by itself."""
        self.workers[worker_id].state = WorkerState.EXITED
        self.workers[worker_id].exit_reason = reason

    async def destroy(self, worker_id: str) -> bool:
        """See `port.Driver`."""
        if self.engine is not None:
            self.engine.pop(worker_id, None)
        return self.workers.pop(worker_id, None) is not None

    async def pause(self, worker_id: str) -> Worker:
        """See `port.Driver`."""
        worker = self._living(worker_id)
        if worker.state is WorkerState.BUSY:
            raise WorkerBusyError(f"worker {worker_id} is busy")
        worker.state = WorkerState.PAUSED
        return worker.view()

    async def resume(self, worker_id: str) -> Worker:
        """See `port.Driver`."""
        worker = self._living(worker_id)
        if worker.state is WorkerState.PAUSED:
            worker.state = WorkerState.READY
        return worker.view()

    def _living(self, worker_id: str) -> FakeWorker:
        if worker_id not in self.workers:
            raise WorkerNotFoundError(f"no worker {worker_id}")
        worker = self.workers[worker_id]
        if worker.state is WorkerState.EXITED:
            raise WorkerExitedError(f"worker {worker_id} has exited: {worker.exit_reason}")
        return worker

    async def find(self, worker_id: str) -> Worker | None:
        """See `port.Driver`."""
        worker = self.workers.get(worker_id)
        return worker.view() if worker else None

    async def list_workers(self) -> tuple[Worker, ...]:
        """See `port.Driver`."""
        return tuple(worker.view() for worker in self.workers.values())

    async def metrics(self, worker_id: str) -> WorkerMetrics:
        """See `port.Driver`."""
        worker = self._living(worker_id)
        return WorkerMetrics(
            rss_bytes=1024,
            rss_peak_bytes=2048,
            cpu_seconds=0.0,
            uptime_seconds=time.time() - worker.created,
            invocations=worker.invocations,
            errors=0,
            processes=1,
        )

    async def problems(self) -> tuple[str, ...]:
        """See `port.Driver`."""
        return ()

    async def close(self) -> None:
        """See `port.Driver`."""
        self.workers.clear()
