"""The workers of one function.

    acquire ─▶ idle worker, else a place in line (first come, first served) ─▶ call ─▶ release | retire
    who waits is served by: a worker given back, a paused one resumed, a new one started; in that order

One call in flight per worker. Never more than `max` workers; `min` of them are kept warm. What waits is
bounded twice: in number (`queue`, besides those a worker can be started for) and in time (`acquire_timeout`);
beyond either a call is throttled. While the agent is away, starts are tried again as long as somebody waits.
A drained pool still serves whoever holds it, but keeps no idle worker: so a reload never breaks a call.

Long, because every rule here counts all workers: what one of them moves, the others must see at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator

from esb_gateway.errors import InfrastructureError, ReservedLimitError, ThrottledError
from esb_gateway.stats import FunctionStats
from esb_gateway.workers.agent import (
    AgentError,
    AgentRefusedError,
    AgentUnavailableError,
    InitFailedError,
    WorkerInfo,
    WorkerSpec,
    WorkerState,
)
from esb_gateway.workers.breaker import Breaker
from esb_gateway.workers.bring_up import CONNECT_SECONDS, bring_up
from esb_gateway.workers.line import Line
from esb_gateway.workers.worker import PoolLimits, PoolTools, Worker
from esb_gateway.workers.worker_channel import WorkerError

_FIRST_BACKOFF = 1.0
_LONGEST_BACKOFF = 60.0


class Pool:
    """The workers of one function; all methods run on the event loop."""

    def __init__(self, spec: WorkerSpec, limits: PoolLimits, stats: FunctionStats, tools: PoolTools) -> None:
        self.spec = spec
        self.fingerprint = spec.fingerprint()
        self.limits = limits
        self.stats = stats
        self.breaker = Breaker(tools.monotonic)
        self._tools = tools
        # In both lists the last one used is the next one used: the others may grow old and go.
        self._idle: list[Worker] = []
        self._paused: list[Worker] = []
        self._resuming: set[Worker] = set()
        self._busy: set[Worker] = set()
        self._starting: set[str] = set()
        self._line = Line(tools.monotonic, self.release)
        self._draining = False
        self._closed = False
        self._keep = False
        self._trouble: str | None = None
        self._backoff = 0.0
        self._no_warming_before = 0.0

    @property
    def idle(self) -> int:
        """Workers without a call that run."""
        return len(self._idle)

    @property
    def paused(self) -> int:
        """Workers without a call that are frozen."""
        return len(self._paused)

    @property
    def busy(self) -> int:
        """Workers with a call."""
        return len(self._busy)

    @property
    def starting(self) -> int:
        """Workers on their way: started, taken over or resumed, and not ready yet."""
        return len(self._starting) + len(self._resuming)

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return len(self._line)

    @property
    def waiting_since(self) -> float | None:
        """When the first in line came, in monotonic time."""
        return self._line.since

    @property
    def size(self) -> int:
        """All workers, those that start included."""
        # Written out: it is asked for after every call.
        starting = len(self._starting) + len(self._resuming)
        return len(self._idle) + len(self._paused) + len(self._busy) + starting

    @property
    def trouble(self) -> str | None:
        """Why workers could not be started the last time, if they could not."""
        return self._trouble

    @property
    def finished(self) -> bool:
        """A drained pool that has nobody left to serve."""
        return self._draining and self.size == 0 and not self._line

    def members(self) -> Iterator[tuple[str, str]]:
        """Yield each worker's id and what this pool has it down as."""
        groups = (
            ("idle", self._idle),
            ("paused", self._paused),
            ("resuming", self._resuming),
            ("busy", self._busy),
        )
        for state, workers in groups:
            for worker in workers:
                yield worker.worker_id, state
        for worker_id in self._starting:
            yield worker_id, "starting"

    def take(self) -> Worker | None:
        """Return an idle worker for one call, as `acquire` does, where nobody waits for it."""
        if not self._idle or self._line:
            return None
        worker = self._idle.pop()
        self._busy.add(worker)
        return worker

    async def acquire(self, *, patience: float | None = None) -> Worker:
        """Return a worker for one call; give it back with `release` or `retire`.

        Args:
            patience: seconds to wait in line instead of acquire_timeout; the line has no bound then.

        Raises:
            ThrottledError: nobody became free in time, or the line is full.
            InitFailedError: a worker was started for this call and its initialisation failed.
            InfrastructureError: no worker can be had.
        """
        worker = self.take()
        if worker is not None:
            return worker
        if self._closed:
            raise InfrastructureError("the gateway is stopping")
        if self.limits.max <= 0:
            raise self._throttled("the function's max_capacity is 0.")
        if patience is None and len(self._line) >= self.limits.queue + self._room:
            raise self._throttled(f"{len(self._line)} calls wait already.")
        wait = self.limits.acquire_timeout if patience is None else patience
        return await self._line.wait(wait, joined=self._scale, too_late=lambda: self._too_late(wait))

    @property
    def _room(self) -> int:
        """Calls in line that get a worker of their own: they wait for it, not for another call's end."""
        return max(0, self.limits.max - len(self._busy))

    @property
    def _coming(self) -> int:
        return len(self._starting) + len(self._resuming)

    def _too_late(self, waited: float) -> Exception:
        if self._trouble is not None:
            return InfrastructureError(self._trouble)
        return self._throttled(f"no worker became free within {waited:g} s.")

    def _throttled(self, why: str) -> ThrottledError:
        return (ReservedLimitError if self.limits.reserved else ThrottledError)(f"Rate Exceeded: {why}")

    def release(self, worker: Worker) -> None:
        """Take back a worker after a call it survived: it goes to the first in line."""
        self._busy.discard(worker)
        self._offer(worker)

    def retire(self, worker: Worker, reason: str) -> None:
        """Take back a worker that must not be used again; whoever waits gets another."""
        self._busy.discard(worker)
        self._bury(worker, reason)
        self.bury_hung_up()
        self._scale()

    def bury_hung_up(self) -> None:
        """Drop idle workers whose side has closed the connection.

        When an agent dies, all its workers die at once: a call's second try must not meet the next dead one.
        """
        for other in [idle for idle in self._idle if not idle.channel.alive]:
            self._idle.remove(other)
            self._bury(other, "connection closed while idle")

    def _bury(self, worker: Worker, reason: str) -> None:
        self.stats.workers_lost += 1
        self._tools.warn(
            "worker retired", function=self.spec.function, worker=worker.worker_id, reason=reason
        )
        self._end(worker)

    def resting(self) -> tuple[Worker, ...]:
        """Return the workers without a call: those that may die unseen."""
        return (*self._idle, *self._paused)

    def bury_missing(self, rested: Collection[Worker], alive: Collection[str]) -> None:
        """Drop workers that rested before the agent was asked, rest still, and are not alive there."""
        for worker in rested:
            if worker.worker_id in alive:
                continue
            for place in (self._idle, self._paused):
                if worker in place:
                    place.remove(worker)
                    self._bury(worker, "it ended while idle")

    def adopt(self, info: WorkerInfo) -> bool:
        """Take over a live worker that an earlier run started; False when there is no place for it."""
        if self._closed or self._draining or self.size >= self.limits.max:
            return False
        self._starting.add(info.worker_id)
        self._tools.ledger.add(info.worker_id)
        self._tools.background(self._take_over(info))
        return True

    async def _take_over(self, info: WorkerInfo) -> None:
        worker = Worker(info.worker_id, self._tools.open_channel(info.address))
        try:
            await worker.channel.connect(CONNECT_SECONDS)
        except WorkerError as error:
            self._starting.discard(info.worker_id)
            self._bury(worker, f"not reached: {error}")
            self._scale()
        except BaseException:
            self._starting.discard(info.worker_id)
            raise
        else:
            self._starting.discard(info.worker_id)
            self.stats.adopted += 1
            if info.state is WorkerState.PAUSED and not self._surplus:
                worker.idle_since = self._tools.monotonic()
                self._paused.append(worker)
                self._scale()
            else:
                self._offer(worker)

    def resize(self, limits: PoolLimits) -> None:
        """Change the limits; workers above a lower `max` go when they become free."""
        self.limits = limits
        while self.size > limits.max and (self._paused or self._idle):
            self._end((self._paused or self._idle).pop(0))
        self._scale()

    def drain(self) -> None:
        """Keep nothing idle from now on: the function has a newer pool, or is gone."""
        self._draining = True
        while self._paused or self._idle:
            self._end((self._paused or self._idle).pop())

    def close(self, *, keep: bool = False) -> None:
        """Turn away who waits, and end all workers, busy ones too; `keep` leaves what can be adopted."""
        self._closed = True
        self._keep = keep and not self._draining
        for worker in [*self._idle, *self._paused, *self._busy]:
            self._end(worker)
        for group in (self._idle, self._paused, self._busy):
            group.clear()
        self._line.fail(InfrastructureError("the gateway is stopping"))

    def agent_is_back(self) -> None:
        """Forget what went wrong while the agent was away: the minimum is restored at once."""
        self._backoff = self._no_warming_before = 0.0
        self._trouble = None
        self.breaker.try_now()

    def tend(self) -> None:
        """Let go of workers idle for too long, pause others, start what is missing below `min`."""
        now = self._tools.monotonic()
        keep = self._wanted_minimum()
        for resting in (self._paused, self._idle):
            while resting and self.size > keep and now - resting[0].idle_since >= self.limits.idle_timeout:
                self._end(resting.pop(0))
        if self.limits.pause_after is not None:
            while self._idle and now - self._idle[0].idle_since >= self.limits.pause_after:
                self._pause(self._idle.pop(0))
        if now >= self._no_warming_before:
            while self.size < keep:
                self._start(on_demand=False)

    def _wanted_minimum(self) -> int:
        return 0 if self._draining else max(0, min(self.limits.min, self.limits.max))

    def _pause(self, worker: Worker) -> None:
        self._paused.append(worker)
        worker.pausing = self._tools.background(self._pause_worker(worker))

    async def _pause_worker(self, worker: Worker) -> None:
        try:
            await self._tools.agent.pause(worker.worker_id)
        except AgentRefusedError as error:
            if worker in self._paused:
                self._paused.remove(worker)
                self._bury(worker, f"not paused: {error}")
        except AgentError:
            pass  # paused or not: resuming a worker that runs is no error

    def _scale(self) -> None:
        """Bring a worker for each call in line that none comes for yet, within `max`."""
        while self._coming < len(self._line) and not self._closed:
            if self._paused:
                worker = self._paused.pop()
                self._resuming.add(worker)
                self._tools.background(self._resume_worker(worker))
            elif self.size < self.limits.max:
                self._start(on_demand=True)
            else:
                return

    async def _resume_worker(self, worker: Worker) -> None:
        try:
            if worker.pausing is not None:
                await asyncio.wait((worker.pausing,))
            await self._tools.agent.resume(worker.worker_id)
        except AgentError as error:
            self._resuming.discard(worker)
            self._bury(worker, f"not resumed: {error}")
            self._scale()  # no call has reached it: who waits gets another
        except BaseException:
            self._resuming.discard(worker)
            raise
        else:
            self._resuming.discard(worker)
            worker.pausing = None
            self.stats.resumes += 1
            self._offer(worker)

    def _start(self, *, on_demand: bool) -> None:
        worker_id = self._tools.new_worker_id(self.spec.function)
        self._starting.add(worker_id)
        self._tools.ledger.add(worker_id)
        self._tools.background(self._start_worker(worker_id, on_demand=on_demand))

    async def _start_worker(self, worker_id: str, *, on_demand: bool) -> None:
        begun = self._tools.monotonic()
        try:
            worker = await bring_up(
                self._tools, self.spec, worker_id, awaited=self._awaited, put_off=self._put_off
            )
        except (AgentError, WorkerError) as error:
            self._starting.discard(worker_id)
            self._start_failed(worker_id, error)
        except BaseException:
            self._starting.discard(worker_id)
            raise
        else:
            self._starting.discard(worker_id)
            self._backoff = 0.0
            self._trouble = None
            self.stats.cold_starts += on_demand
            self.stats.observe_init(self._tools.monotonic() - begun)
            self._offer(worker)

    def _put_off(self, trouble: str) -> None:
        if self._trouble is None:
            self._tools.warn("worker start is tried again", function=self.spec.function, error=trouble)
        self._trouble = trouble

    def _awaited(self) -> bool:
        """True while each worker on its way has a call that waits for it."""
        return self._coming <= len(self._line) and not self._closed

    def _start_failed(self, worker_id: str, error: AgentError | WorkerError) -> None:
        self._backoff = min(max(_FIRST_BACKOFF, self._backoff * 2), _LONGEST_BACKOFF)
        self._no_warming_before = self._tools.monotonic() + self._backoff
        self._tools.warn(
            "worker did not start", function=self.spec.function, worker=worker_id, error=str(error)
        )
        if isinstance(error, InitFailedError):
            self._tools.ledger.doom(worker_id)
            self._line.fail(error, first_only=True)  # each call gets its own try, as on AWS
        elif isinstance(error, AgentUnavailableError):
            self._tools.ledger.doom(worker_id)  # it may have been started all the same
            self._trouble = str(error)
        else:
            self._tools.ledger.end(worker_id)
            self._line.fail(InfrastructureError(str(error)))
        self._scale()

    @property
    def _surplus(self) -> bool:
        """True when a worker that has no call has no place either."""
        return self._closed or self._draining or self.size >= self.limits.max

    def _offer(self, worker: Worker) -> None:
        """Hand a free worker to the first in line, or keep it, or end it."""
        if self._closed or self.size >= self.limits.max:
            self._end(worker)
            return
        if self._line.serve(worker):
            self._busy.add(worker)
            return
        if self._draining:
            self._end(worker)
            return
        worker.idle_since = self._tools.monotonic()
        self._idle.append(worker)

    def _end(self, worker: Worker) -> None:
        worker.channel.close()
        if self._keep:
            self._tools.ledger.known.discard(worker.worker_id)
        else:
            self._tools.ledger.end(worker.worker_id)
