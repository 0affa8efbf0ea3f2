"""What the agent asks of a way of running workers.

A driver knows nothing of owners' rights: it keeps and gives back the identity it was given. It may be
called concurrently, also for one worker; `create` is never called twice at once for one worker id. What any
driver must do is written down in `tests/drivers/test_driver_contract.py`, which runs on all of them.
"""

from typing import Protocol

from esb_agent.model import FunctionSpec, Identity, Worker, WorkerMetrics


class Driver(Protocol):
    """Creates, freezes, measures and ends workers."""

    @property
    def name(self) -> str:
        """The mode's name: `process`, `docker`, ..."""

    @property
    def keeps_workers(self) -> bool:
        """Workers run on without their agent, and the next one's `recover` gives them back."""

    async def start(self) -> None:
        """Make ready to create workers: end what an earlier life left behind and `recover` cannot give back.

        Raises:
            ConfigError: this driver cannot run here as configured.
        """

    async def recover(self) -> tuple[Worker, ...]:
        """Take back the workers an earlier agent left running; called once, after `start`.

        With identity, spec digest, address and state as they were. None, unless `keeps_workers`.
        """

    async def ensure_image(self, image: str, sandbox: str) -> None:
        """Return when workers can be started from it in that sandbox without its registry.

        What is under way goes on when the caller gives up.

        Raises:
            BadRequestError, ImageNotFoundError, ImageBrokenError, DriverError: as their names say.
        """

    async def create(self, identity: Identity, spec: FunctionSpec) -> Worker:
        """Start a worker and wait until it can take a call.

        On any error, and when cancelled, nothing is left of it.

        Raises:
            BadRequestError, ImageNotFoundError, ImageBrokenError, InitFailedError, DriverError: as their
            names say.
        """

    async def destroy(self, worker_id: str) -> bool:
        """End the worker and all it started, also when cancelled; a call it holds is answered as a crash.

        False: there was none.
        """

    async def pause(self, worker_id: str) -> Worker:
        """Freeze an idle worker; a paused one stays so.

        Raises WorkerNotFoundError, WorkerBusyError, WorkerExitedError.
        """

    async def resume(self, worker_id: str) -> Worker:
        """Let it run; a running one is left alone. Raises WorkerNotFoundError, WorkerExitedError."""

    async def find(self, worker_id: str) -> Worker | None:
        """The worker as it stands, exited ones included until destroyed."""

    async def list_workers(self) -> tuple[Worker, ...]:
        """All workers, oldest first, exited ones included until destroyed."""

    async def metrics(self, worker_id: str) -> WorkerMetrics:
        """What the worker uses now. Raises WorkerNotFoundError, WorkerExitedError."""

    async def problems(self) -> tuple[str, ...]:
        """What keeps this driver from its work at present, a line each; empty when all is well."""

    async def close(self) -> None:
        """End all workers, after a short wait for calls in flight; where an engine keeps them, leave them."""
