"""How one worker is made ready for calls.

    agent.ensure ─▶ address ─▶ connect ─▶ Worker

While the agent is away, or nobody listens there yet, it is tried again as long as a call waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from esb_gateway.workers.agent import AgentUnavailableError, WorkerSpec
from esb_gateway.workers.worker import PoolTools, Worker
from esb_gateway.workers.worker_channel import WorkerUnreachedError

CONNECT_SECONDS = 5.0  # also for a worker that is taken over
_CONNECT_TRIES = 2
_FIRST_RETRY = 0.05
_LONGEST_RETRY = 0.5


async def bring_up(
    tools: PoolTools,
    spec: WorkerSpec,
    worker_id: str,
    *,
    awaited: Callable[[], bool],
    put_off: Callable[[str], None],
) -> Worker:
    """Start a worker; while the agent is away and somebody waits for this one, try again.

    Always with the same id: a start whose answer was lost is found, not repeated. `awaited` says whether
    another try is worth it, `put_off` is told why there is one.

    Raises:
        AgentError, WorkerUnreachedError: the worker cannot be had.
    """
    pause, connects = _FIRST_RETRY, 0
    while True:
        try:
            info = await tools.agent.ensure(worker_id, spec)
            channel = tools.open_channel(info.address)
            await channel.connect(CONNECT_SECONDS)
            return Worker(worker_id, channel)
        except (AgentUnavailableError, WorkerUnreachedError) as error:
            connects += isinstance(error, WorkerUnreachedError)
            if connects > _CONNECT_TRIES or not awaited():
                raise
            put_off(str(error))
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_RETRY)
