"""All pools: which of them a new generation keeps, which live workers they take over, what nobody wants.

    ListWorkers ─look▶ ours: still there?   strays: adopted by the pool of equal fingerprint, or ended

Strays are what an earlier run of this gateway left, and starts whose answer was lost. One gateway serves one
owner: two would take each other's workers.
"""

from __future__ import annotations

from collections.abc import Mapping

from esb_gateway.deployment import Box, Deployment, Plan
from esb_gateway.stats import GatewayStats
from esb_gateway.workers.agent import AgentError, AgentUnavailableError, WorkerInfo, WorkerState
from esb_gateway.workers.invoker import Target
from esb_gateway.workers.pool import Pool
from esb_gateway.workers.worker import PoolTools

TEND_SECONDS = 0.5
_LOOK_SECONDS = 2.0  # also the heartbeat: the agent ends the workers of an owner that is silent for a minute
_LOOK_AGAIN_SECONDS = 0.5  # while the agent is away, or a stray is about to become free
_STRAY_GRACE_SECONDS = 15.0  # besides its function's timeout: for its initialisation


class Fleet:
    """Pools by function, and drained ones that still have callers."""

    def __init__(self, box: Box, tools: PoolTools, stats: GatewayStats) -> None:
        self._box = box
        self._tools = tools
        self._stats = stats
        self._pools: dict[str, Pool] = {}
        self._draining: list[Pool] = []
        self._serving = False
        self._agent_up: bool | None = None
        self._next_look = 0.0
        self._held: dict[str, float] = {}  # strays that hold a call or start, and since when they are known

    @property
    def pools(self) -> Mapping[str, Pool]:
        """The pools that take calls, by function."""
        return self._pools

    @property
    def draining(self) -> tuple[Pool, ...]:
        """Pools of replaced or removed functions that are not done yet."""
        return tuple(self._draining)

    @property
    def agent_up(self) -> bool:
        """True when the agent answered the last time it was asked for the workers."""
        return bool(self._agent_up)

    def adopt(self, plan: Plan) -> Deployment:
        """Make a plan servable: keep the pools whose workers stay the same, replace and drain the others."""
        before, self._pools = self._pools, {}
        for name, function in plan.functions.items():
            pool = before.get(name)
            if pool is not None and pool.spec == function.spec:
                del before[name]
                pool.resize(function.limits)
            else:
                pool = Pool(function.spec, function.limits, self._stats.of(name), self._tools)
            self._pools[name] = pool
        for pool in before.values():
            pool.drain()
            self._draining.append(pool)
        self._serving = True
        self.tend()
        targets = {
            name: Target(name, self._box.arn(name), function.timeout, self._pools[name])
            for name, function in plan.functions.items()
        }
        return Deployment(
            self._box,
            plan.generation,
            targets,
            plan.router,
            plan.schedules,
            plan.warnings,
            written=plan.written,
            modified=plan.modified,
        )

    def tend(self) -> None:
        """Let every pool look after its idle workers and its minimum; forget drained pools that are done."""
        if self._agent_up is not None:  # before that, a new worker might stand beside one to be adopted
            for pool in self._pools.values():
                pool.tend()
        self._draining = [pool for pool in self._draining if not pool.finished]

    async def step(self) -> None:
        """Look when it is time to, then tend."""
        if self._tools.monotonic() >= self._next_look:
            await self.look()
        self.tend()

    async def look(self) -> None:
        """Compare the agent's workers with the pools' and settle what differs; renews the owner's lease."""
        ledger = self._tools.ledger
        rested = [(pool, pool.resting()) for pool in [*self._pools.values(), *self._draining]]
        known, doomed = set(ledger.known), set(ledger.doomed)
        try:
            listed = await self._tools.agent.list()
        except AgentError as error:
            self._not_listed(error)
            return
        self._agent_answered()
        live = {worker.worker_id for worker in listed if worker.state is not WorkerState.EXITED}
        for pool, workers in rested:
            pool.bury_missing(workers, live)
        present = {worker.worker_id for worker in listed}
        for worker_id in doomed:
            # Still there: the agent was away when it was told to end it.
            (ledger.end if worker_id in present else ledger.forget)(worker_id)
        ours = known | doomed | ledger.known | ledger.doomed
        strays = [worker for worker in listed if worker.worker_id not in ours]
        if self._serving:  # before the first generation nobody knows what is wanted
            for worker in strays:
                self._settle(worker)
        self._held = {name: since for name, since in self._held.items() if name in present}
        soon = _LOOK_AGAIN_SECONDS if self._held else _LOOK_SECONDS
        self._next_look = self._tools.monotonic() + soon

    def _not_listed(self, error: AgentError) -> None:
        self._next_look = self._tools.monotonic() + _LOOK_AGAIN_SECONDS
        if self._agent_up is not False:
            self._tools.warn("agent does not list its workers", error=str(error))
        if isinstance(error, AgentUnavailableError) or self._agent_up is None:
            self._agent_up = False

    def _agent_answered(self) -> None:
        was, self._agent_up = self._agent_up, True
        if was is False:
            for pool in self._pools.values():
                pool.agent_is_back()

    def _settle(self, worker: WorkerInfo) -> None:
        pool = self._pools.get(worker.function)
        if pool is None or pool.fingerprint != worker.fingerprint or worker.state is WorkerState.EXITED:
            self._end(worker, "no pool wants it")
        elif worker.state in (WorkerState.READY, WorkerState.PAUSED):
            self._held.pop(worker.worker_id, None)
            if not pool.adopt(worker):
                self._end(worker, "its pool is full")
        else:
            now = self._tools.monotonic()
            since = self._held.setdefault(worker.worker_id, now)
            if now - since > pool.spec.timeout_ms / 1000 + _STRAY_GRACE_SECONDS:
                self._end(worker, "it did not become free")

    def _end(self, worker: WorkerInfo, reason: str) -> None:
        self._held.pop(worker.worker_id, None)
        self._tools.warn(
            "leftover worker ended", worker=worker.worker_id, function=worker.function, reason=reason
        )
        self._tools.ledger.end(worker.worker_id)

    def close(self, *, keep: bool = False) -> None:
        """End all workers; `keep` leaves those that the next run can adopt."""
        for pool in [*self._pools.values(), *self._draining]:
            pool.close(keep=keep)
