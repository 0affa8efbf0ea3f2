"""The workers of one function.

    acquire ─▶ idle worker, else a place in line (first come, first served) ─▶ call ─▶ release | retire

One call in flight per worker. Never more than `max` workers; `min` of them are kept warm. What waits is
bounded twice: in number (`queue`) and in time (`acquire_timeout`); beyond either a call is throttled. A
drained pool still serves whoever holds it, but keeps no idle worker: so a reload never breaks a call.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Protocol

from attrs import frozen

from esb_gateway.errors import FunctionOffError, InfrastructureError, ThrottledError
from esb_gateway.stats import FunctionStats
from esb_gateway.workers.agent import Agent, AgentError, InitFailedError, WorkerInfo, WorkerSpec
from esb_gateway.workers.worker_channel import WorkerAnswer, WorkerError

_CONNECT_SECONDS = 5.0
_FIRST_BACKOFF = 1.0
_LONGEST_BACKOFF = 60.0


@frozen
class PoolLimits:
    """How many workers and how long; times in seconds. `min` above `max` counts as `max`."""

    min: int = 0
    max: int = 10
    idle_timeout: float = 300.0
    acquire_timeout: float = 10.0
    queue: int = 100


class Channel(Protocol):
    """The data path to a worker; `WorkerChannel` is the real one."""

    @property
    def alive(self) -> bool:
        """False when the worker's side has hung up."""

    async def call(self, head: bytes, body: bytes, within: float) -> WorkerAnswer:
        """Send one request and wait for its answer."""

    async def connect(self, within: float) -> None:
        """Open the connection ahead of the first call."""

    def close(self) -> None:
        """Drop the connection."""


@frozen
class PoolTools:
    """What pools share; `background` starts work that nobody awaits, `warn` writes a log line."""

    agent: Agent
    open_channel: Callable[[str], Channel]
    new_worker_id: Callable[[str], str]
    monotonic: Callable[[], float]
    background: Callable[[Coroutine[object, object, None]], asyncio.Task[None]]
    warn: Callable[..., object]


class Worker:
    """A worker as its pool keeps it."""

    __slots__ = ("channel", "idle_since", "worker_id")

    def __init__(self, worker_id: str, channel: Channel) -> None:
        self.worker_id = worker_id
        self.channel = channel
        self.idle_since = 0.0


class Pool:
    """The workers of one function; all methods run on the event loop."""

    def __init__(self, spec: WorkerSpec, limits: PoolLimits, stats: FunctionStats, tools: PoolTools) -> None:
        self.spec = spec
        self.limits = limits
        self.stats = stats
        self._tools = tools
        self._idle: list[
            Worker
        ] = []  # the last one used is the next one used: the others may grow old and go
        self._busy: set[Worker] = set()
        self._starting = 0
        self._waiters: deque[asyncio.Future[Worker]] = deque()
        self._draining = False
        self._closed = False
        self._backoff = 0.0
        self._no_warming_before = 0.0

    @property
    def idle(self) -> int:
        """Workers without a call."""
        return len(self._idle)

    @property
    def busy(self) -> int:
        """Workers with a call."""
        return len(self._busy)

    @property
    def starting(self) -> int:
        """Workers on their way."""
        return self._starting

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return len(self._waiters)

    @property
    def size(self) -> int:
        """All workers, those that start included."""
        return len(self._idle) + len(self._busy) + self._starting

    @property
    def finished(self) -> bool:
        """A drained pool that has nobody left to serve."""
        return self._draining and self.size == 0 and not self._waiters

    async def acquire(self, *, patience: float | None = None) -> Worker:
        """Return a worker for one call; give it back with `release` or `retire`.

        Args:
            patience: seconds to wait in line instead of acquire_timeout; the line has no bound then.

        Raises:
            ThrottledError: nobody became free in time, or the line is full.
            InitFailedError: a worker was started for this call and its initialisation failed.
            InfrastructureError: no worker can be had.
        """
        if self._idle and not self._waiters:
            worker = self._idle.pop()
            self._busy.add(worker)
            return worker
        if self._closed:
            raise InfrastructureError("the gateway is stopping")
        if self.limits.max <= 0:
            raise FunctionOffError("Rate Exceeded: the function's max_capacity is 0.")
        if patience is None and len(self._waiters) >= self.limits.queue:
            raise ThrottledError(f"Rate Exceeded: {self.limits.queue} calls wait already.")
        return await self._wait(self.limits.acquire_timeout if patience is None else patience)

    async def _wait(self, patience: float) -> Worker:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Worker] = loop.create_future()
        self._waiters.append(waiter)
        self._scale()
        timer = loop.call_later(patience, self._give_up, waiter, patience)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release(waiter.result())  # handed over in the moment the caller went away
            else:
                self._forget(waiter)
            raise
        finally:
            timer.cancel()

    def _give_up(self, waiter: asyncio.Future[Worker], patience: float) -> None:
        if not waiter.done():
            self._forget(waiter)
            waiter.set_exception(
                ThrottledError(f"Rate Exceeded: no worker became free within {patience:g} s.")
            )

    def _forget(self, waiter: asyncio.Future[Worker]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def release(self, worker: Worker) -> None:
        """Take back a worker after a call it survived: it goes to the first in line."""
        self._busy.discard(worker)
        self._offer(worker)

    def retire(self, worker: Worker, reason: str) -> None:
        """Take back a worker that must not be used again; whoever waits gets another."""
        self._busy.discard(worker)
        self._bury(worker, reason)
        # When an agent dies, all its workers die at once: the retry of this call must not meet the next dead
        # one.
        for other in [idle for idle in self._idle if not idle.channel.alive]:
            self._idle.remove(other)
            self._bury(other, "connection closed while idle")
        self._scale()

    def _bury(self, worker: Worker, reason: str) -> None:
        self.stats.workers_lost += 1
        self._tools.warn(
            "worker retired", function=self.spec.function, worker=worker.worker_id, reason=reason
        )
        self._end(worker)

    def resize(self, limits: PoolLimits) -> None:
        """Change the limits; workers above a lower `max` go when they become free."""
        self.limits = limits
        while self._idle and self.size > limits.max:
            self._end(self._idle.pop(0))
        self._scale()

    def drain(self) -> None:
        """Keep nothing idle from now on: the function has a newer pool, or is gone."""
        self._draining = True
        while self._idle:
            self._end(self._idle.pop())

    def close(self) -> None:
        """End all workers, also busy ones, and turn away who waits."""
        self._closed = True
        self.drain()
        for worker in list(self._busy):
            self._end(worker)
        self._busy.clear()
        self._fail_waiters(InfrastructureError("the gateway is stopping"))

    def tend(self) -> None:
        """Let go of workers idle for too long, start what is missing below `min`. Called once a second."""
        now = self._tools.monotonic()
        keep = self._wanted_minimum()
        while self._idle and self.size > keep and now - self._idle[0].idle_since >= self.limits.idle_timeout:
            self._end(self._idle.pop(0))
        if now >= self._no_warming_before:
            while self.size < keep:
                self._start(on_demand=False)

    def _wanted_minimum(self) -> int:
        return 0 if self._draining else max(0, min(self.limits.min, self.limits.max))

    def _scale(self) -> None:
        """Start a worker for each call in line that none is starting for yet, within `max`."""
        while self._starting < len(self._waiters) and self.size < self.limits.max and not self._closed:
            self._start(on_demand=True)

    def _start(self, *, on_demand: bool) -> None:
        self._starting += 1
        self._tools.background(self._start_worker(on_demand=on_demand))

    async def _start_worker(self, *, on_demand: bool) -> None:
        worker_id = self._tools.new_worker_id(self.spec.function)
        try:
            worker = await self._bring_up(worker_id)
        except (AgentError, WorkerError) as error:
            self._starting -= 1
            self._start_failed(worker_id, error)
        except asyncio.CancelledError:
            self._starting -= 1
            raise
        else:
            self._starting -= 1
            self._backoff = 0.0
            self.stats.cold_starts += on_demand
            self._offer(worker)

    async def _bring_up(self, worker_id: str) -> Worker:
        info: WorkerInfo = await self._tools.agent.ensure(worker_id, self.spec)
        channel = self._tools.open_channel(info.address)
        await channel.connect(_CONNECT_SECONDS)
        return Worker(worker_id, channel)

    def _start_failed(self, worker_id: str, error: AgentError | WorkerError) -> None:
        self._backoff = min(max(_FIRST_BACKOFF, self._backoff * 2), _LONGEST_BACKOFF)
        self._no_warming_before = self._tools.monotonic() + self._backoff
        self._tools.warn(
            "worker did not start", function=self.spec.function, worker=worker_id, error=str(error)
        )
        if isinstance(error, InitFailedError):
            self._fail_waiters(error, first_only=True)  # each call gets its own try, as on AWS
            self._scale()
            return
        if isinstance(error, WorkerError):
            self._tools.background(self._destroy(worker_id))
        self._fail_waiters(InfrastructureError(str(error)))

    def _fail_waiters(self, error: Exception, *, first_only: bool = False) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)
                if first_only:
                    return

    def _offer(self, worker: Worker) -> None:
        """Hand a free worker to the first in line, or keep it, or end it."""
        if self._closed or self.size >= self.limits.max:
            self._end(worker)
            return
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._busy.add(worker)
                waiter.set_result(worker)
                return
        if self._draining:
            self._end(worker)
            return
        worker.idle_since = self._tools.monotonic()
        self._idle.append(worker)

    def _end(self, worker: Worker) -> None:
        worker.channel.close()
        self._tools.background(self._destroy(worker.worker_id))

    async def _destroy(self, worker_id: str) -> None:
        try:
            await self._tools.agent.destroy(worker_id)
        except AgentError as error:
            # The agent was away; it ends what nobody owns, and the next start of this gateway asks it to.
            self._tools.warn("worker not destroyed", worker=worker_id, error=str(error))
