"""Who may do what to which worker: ownership, idempotence, and what a well-formed request is.

Drivers know none of it.
"""

import asyncio
import re
import time
from collections.abc import Callable
from weakref import WeakValueDictionary

import structlog
from attrs import frozen

from esb_agent.drivers.port import Driver
from esb_agent.drivers.sandboxes import check_sandbox
from esb_agent.errors import (
    AgentError,
    BadRequestError,
    InitFailedError,
    NotOwnerError,
    StoppingError,
    WorkerConflictError,
    WorkerNotFoundError,
)
from esb_agent.leases import Leases
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerMetrics, WorkerState
from esb_agent.tally import Tally

log = structlog.get_logger()
WORKER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
MAX_OWNER_LENGTH = 128
MAX_NAME_BYTES = 200
# Lambda's bounds are narrower (900 s; 128 to 10240 MB); a box is its owner's.
MAX_TIMEOUT_MS = 24 * 3600 * 1000
MAX_MEMORY_MB = 1024 * 1024
# How often owners are looked at, within their grace.
LOOKS_A_GRACE = 6
# A call may go on without its owner until its timeout, a start until it is ready or has failed.
UNFINISHED = {WorkerState.STARTING, WorkerState.BUSY}


@frozen(kw_only=True)
class Health:
    """What an owner may know of the agent's health."""

    serving: bool
    driver: str
    workers: int
    problems: tuple[str, ...]


class Fleet:
    """All workers of this agent, seen by their owners.

    Workers of an owner not heard of for `grace_seconds` are ended; 0: never.
    """

    def __init__(
        self,
        driver: Driver,
        tally: Tally | None = None,
        *,
        grace_seconds: float = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._driver = driver
        self._tally = tally or Tally()
        self._grace = grace_seconds
        self._clock = clock
        self._leases = Leases(clock)
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
        self._leases.renew(identity.owner_id)
        check_spec(spec)
        check_sandbox(spec, self._driver.name)
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
            return await self._create(identity, spec), True

    async def _create(self, identity: Identity, spec: FunctionSpec) -> Worker:
        outcome = "failed"
        try:
            worker = await self._driver.create(identity, spec)
            outcome = "ready"
        except InitFailedError:
            outcome = "init_failed"
            raise
        finally:
            self._tally.starts[spec.name, outcome] += 1
            self._leases.renew(identity.owner_id)
        self._tally.init_seconds.labels(spec.name).observe(worker.init_ms / 1000)
        return worker

    async def ensure_image(self, owner_id: str, image: str, sandbox: str = "") -> None:
        """Have it at hand. Raises BadRequestError, StoppingError and what `Driver.ensure_image` raises."""
        self._admit(owner_id)
        if not image:
            raise BadRequestError("image: expected a reference, found nothing")
        if self._stopping:
            raise StoppingError("the agent is stopping")
        await self._driver.ensure_image(image, sandbox)

    async def destroy(self, owner_id: str, worker_id: str) -> bool:
        """End it; False when there was none. Raises NotOwnerError."""
        self._admit(owner_id)
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
        self._admit(owner_id)
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

    async def recover(self) -> None:
        """Take back what an earlier agent's engine kept running; its owners' leases begin now."""
        workers = await self._driver.recover()
        if workers:
            log.info("workers of an earlier agent taken back", workers=len(workers))

    async def watch_owners(self) -> None:
        """Until cancelled: end the workers of owners that are gone."""
        pause = self._grace / LOOKS_A_GRACE
        while self._grace:
            before = self._clock()
            await asyncio.sleep(pause)
            if self._clock() - before > self._grace / 2:
                # This process was stopped, or its machine: what owners sent meanwhile is not yet read.
                self._leases.renew_all()
            try:
                await self.collect()
            except AgentError as error:
                log.error("workers cannot be looked through for silent owners", error=str(error))  # noqa: TRY400 - it says it all
            except Exception:  # the outermost layer: without it, nobody would look again
                log.exception("workers cannot be looked through for silent owners")

    async def collect(self) -> None:
        """One look. What cannot be ended now is tried again with the next."""
        workers = await self._driver.list_workers()
        self._leases.forget_others({w.identity.owner_id for w in workers})
        for worker in workers:
            # Looked at again for each: while others are ended its owner may come back and use it.
            found = await self._driver.find(worker.identity.worker_id)
            if not found or found.state in UNFINISHED:
                continue
            if self._leases.lapsed(found.identity.owner_id, self._grace):
                await self._end_unowned(found)

    async def _end_unowned(self, worker: Worker) -> None:
        told = log.bind(
            worker=worker.identity.worker_id, function=worker.function, owner=worker.identity.owner_id
        )
        try:
            if await self._driver.destroy(worker.identity.worker_id):
                self._tally.collected += 1
                told.warning("worker of a silent owner ended")
        except AgentError as error:
            told.error("worker of a silent owner cannot be ended", error=str(error))

    async def close(self) -> None:
        """Take no more requests for workers, and close the driver."""
        self._stopping = True
        await self._driver.close()

    def _admit(self, owner_id: str) -> None:
        check_owner_id(owner_id)
        self._leases.renew(owner_id)

    async def _owned(self, owner_id: str, worker_id: str) -> None:
        self._admit(owner_id)
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
