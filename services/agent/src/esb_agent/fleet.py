"""Who may do what to which worker: ownership, idempotence, and what a well-formed request is.

Drivers know none of it.
"""

import asyncio
import re
from weakref import WeakValueDictionary

from attrs import frozen

from esb_agent.drivers.port import Driver
from esb_agent.errors import (
    BadRequestError,
    NotOwnerError,
    StoppingError,
    WorkerConflictError,
    WorkerNotFoundError,
)
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerMetrics, WorkerState

WORKER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MAX_OWNER_LENGTH = 128
MAX_NAME_BYTES = 200
# Lambda's bounds are narrower (900 s; 128 to 10240 MB); a box is its owner's.
MAX_TIMEOUT_MS = 24 * 3600 * 1000
MAX_MEMORY_MB = 1024 * 1024


@frozen(kw_only=True)
class Health:
    """What an owner may know of the agent's health."""

    serving: bool
    driver: str
    workers: int
    problems: tuple[str, ...]


class Fleet:
    """All workers of this agent, seen by their owners."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._stopping = False
        # A lock is forgotten with its last holder.
        self._ensuring: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def ensure(self, identity: Identity, spec: FunctionSpec) -> tuple[Worker, bool]:
        """The worker, and whether it was created now.

        A live one made from the same spec is given back; an exited one is replaced.

        Raises:
            StoppingError, BadRequestError, NotOwnerError, WorkerConflictError, and what `Driver.create`
            raises.
        """
        check_identity(identity)
        check_spec(spec)
        async with self._ensuring.setdefault(identity.worker_id, asyncio.Lock()):
            if self._stopping:
                raise StoppingError("the agent is stopping")
            worker = await self._driver.find(identity.worker_id)
            if worker:
                _check_owner(worker, identity.owner_id)
                if worker.state is not WorkerState.EXITED:
                    if worker.spec_digest != spec.digest():
                        raise WorkerConflictError(f"worker {identity.worker_id} was made from another spec")
                    return worker, False
                await self._driver.destroy(identity.worker_id)
            return await self._driver.create(identity, spec), True

    async def destroy(self, owner_id: str, worker_id: str) -> bool:
        """End it; False when there was none. Raises NotOwnerError."""
        check_owner_id(owner_id)
        worker = await self._driver.find(worker_id)
        if not worker:
            return False
        _check_owner(worker, owner_id)
        return await self._driver.destroy(worker_id)

    async def pause(self, owner_id: str, worker_id: str) -> Worker:
        """Freeze it. Raises NotOwnerError and what `Driver.pause` raises."""
        await self._owned(owner_id, worker_id)
        return await self._driver.pause(worker_id)

    async def resume(self, owner_id: str, worker_id: str) -> Worker:
        """Let it run. Raises NotOwnerError and what `Driver.resume` raises."""
        await self._owned(owner_id, worker_id)
        return await self._driver.resume(worker_id)

    async def metrics(self, owner_id: str, worker_id: str) -> WorkerMetrics:
        """What it uses. Raises NotOwnerError and what `Driver.metrics` raises."""
        await self._owned(owner_id, worker_id)
        return await self._driver.metrics(worker_id)

    async def list_workers(self, owner_id: str, function: str = "") -> tuple[Worker, ...]:
        """The owner's, oldest first; of one function when it is named. Raises BadRequestError."""
        check_owner_id(owner_id)
        workers = await self._driver.list_workers()
        return tuple(w for w in workers if w.identity.owner_id == owner_id and function in ("", w.function))

    async def health(self, owner_id: str) -> Health:
        """How the agent is, for that owner. Raises BadRequestError."""
        workers = await self.list_workers(owner_id)
        return Health(
            serving=not self._stopping,
            driver=self._driver.name,
            workers=sum(worker.state is not WorkerState.EXITED for worker in workers),
            problems=await self._driver.problems(),
        )

    async def close(self) -> None:
        """Take no more requests for workers, and close the driver."""
        self._stopping = True
        await self._driver.close()

    async def _owned(self, owner_id: str, worker_id: str) -> None:
        check_owner_id(owner_id)
        worker = await self._driver.find(worker_id)
        if not worker:
            raise WorkerNotFoundError(f"no worker {worker_id}")
        _check_owner(worker, owner_id)


def _check_owner(worker: Worker, owner_id: str) -> None:
    if worker.identity.owner_id != owner_id:
        raise NotOwnerError(f"worker {worker.identity.worker_id} is another owner's")


def check_owner_id(owner_id: str) -> None:
    """Raises BadRequestError unless it is 1 to 128 printable characters."""
    if not 0 < len(owner_id) <= MAX_OWNER_LENGTH or not owner_id.isprintable():
        raise BadRequestError(
            f"owner_id: expected 1 to {MAX_OWNER_LENGTH} printable characters, found {owner_id!r}"
        )


def check_identity(identity: Identity) -> None:
    """Raises BadRequestError."""
    check_owner_id(identity.owner_id)
    if not WORKER_ID.fullmatch(identity.worker_id):
        raise BadRequestError(f"worker_id: expected {WORKER_ID.pattern}, found {identity.worker_id!r}")


def check_spec(spec: FunctionSpec) -> None:
    """Raises BadRequestError.

    A function's name is one path segment (contract §5), limits are positive, texts have no NUL.
    """
    size = len(spec.name.encode())
    if (
        not 0 < size <= MAX_NAME_BYTES
        or spec.name in (".", "..")
        or not spec.name.isprintable()
        or "/" in spec.name
    ):
        raise BadRequestError(
            f"spec.name: expected a path segment of at most {MAX_NAME_BYTES} bytes, found {spec.name!r}"
        )
    if not spec.image:
        raise BadRequestError(f"spec.image of function {spec.name}: expected a reference, found nothing")
    if not 0 < spec.timeout_ms <= MAX_TIMEOUT_MS:
        raise BadRequestError(f"spec.timeout_ms: expected 1 to {MAX_TIMEOUT_MS}, found {spec.timeout_ms}")
    if not 0 < spec.memory_mb <= MAX_MEMORY_MB:
        raise BadRequestError(f"spec.memory_mb: expected 1 to {MAX_MEMORY_MB}, found {spec.memory_mb}")
    for name, value in spec.environment.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise BadRequestError(
                f"spec.environment: {name!r}: a name without = and a value without NUL are expected"
            )
    if any("\0" in part for part in (spec.handler, *spec.cmd)):
        raise BadRequestError("spec.handler, spec.cmd: expected no NUL")
