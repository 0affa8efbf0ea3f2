"""All pools: which of them a new generation keeps, and the work around them that no call does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from esb_gateway.deployment import Box, Deployment, Plan
from esb_gateway.stats import GatewayStats
from esb_gateway.workers.agent import AgentError, AgentUnavailableError
from esb_gateway.workers.invoker import Target
from esb_gateway.workers.pool import Pool, PoolTools

TEND_SECONDS = 1.0


class Fleet:
    """Pools by function, and drained ones that still have callers."""

    def __init__(self, box: Box, tools: PoolTools, stats: GatewayStats) -> None:
        self._box = box
        self._tools = tools
        self._stats = stats
        self._pools: dict[str, Pool] = {}
        self._draining: list[Pool] = []

    @property
    def pools(self) -> Mapping[str, Pool]:
        """The pools that take calls, by function."""
        return self._pools

    @property
    def draining(self) -> tuple[Pool, ...]:
        """Pools of replaced or removed functions that are not done yet."""
        return tuple(self._draining)

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
        for pool in self._pools.values():
            pool.tend()
        self._draining = [pool for pool in self._draining if not pool.finished]

    async def clear_leftovers(self, ours: Callable[[str], bool]) -> None:
        """End the workers that an earlier run of this gateway left; wait for an agent that is not up yet.

        Args:
            ours: tells by its id whether a worker is of this run.
        """
        while True:
            try:
                for worker in await self._tools.agent.list():
                    if not ours(worker.worker_id):
                        self._tools.warn(
                            "leftover worker ended", worker=worker.worker_id, function=worker.function
                        )
                        await self._tools.agent.destroy(worker.worker_id)
            except AgentUnavailableError:
                await asyncio.sleep(TEND_SECONDS)
            except AgentError as error:
                self._tools.warn("leftover workers not ended", error=str(error))
                return
            else:
                return

    def close(self) -> None:
        """End all workers."""
        for pool in [*self._pools.values(), *self._draining]:
            pool.close()
