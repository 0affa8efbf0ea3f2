"""Which workers are this run's, and which are to be ended: so none is forgotten and none is taken twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from esb_gateway.workers.agent import Agent, AgentError


class Ledger:
    """Worker ids: `known` belong to a pool, `doomed` stay until the agent is known to have them no more."""

    def __init__(
        self,
        agent: Agent,
        background: Callable[[Coroutine[object, object, None]], asyncio.Task[None]],
        warn: Callable[..., object],
    ) -> None:
        self._agent = agent
        self._background = background
        self._warn = warn
        self.known: set[str] = set()
        self.doomed: set[str] = set()

    def add(self, worker_id: str) -> None:
        """A pool starts or takes over this worker."""
        self.known.add(worker_id)

    def doom(self, worker_id: str) -> None:
        """The worker may or may not be there, and nobody wants it: it is ended when it is seen."""
        self.known.discard(worker_id)
        self.doomed.add(worker_id)

    def end(self, worker_id: str) -> None:
        """End the worker now; an agent that is away is asked again when it is back."""
        self.doom(worker_id)
        self._background(self._destroy(worker_id))

    def forget(self, worker_id: str) -> None:
        """The agent does not have this worker any more."""
        self.doomed.discard(worker_id)

    async def _destroy(self, worker_id: str) -> None:
        try:
            await self._agent.destroy(worker_id)
        except AgentError as error:
            self._warn("worker not destroyed", worker=worker_id, error=str(error))
        else:
            self.doomed.discard(worker_id)
