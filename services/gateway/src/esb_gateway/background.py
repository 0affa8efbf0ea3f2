"""Tasks that nobody awaits: kept from being collected, and heard when they fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from esb_gateway.access_log import Log


class Background:
    """Starts tasks and knows those that run."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run `work` on its own; a failure is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def every(self, seconds: float, step: Callable[[], Awaitable[None] | None]) -> asyncio.Task[None]:
        """Do `step` again and again, `seconds` after it last ended; a failure is logged and ends nothing."""
        return self.start(self._repeat(seconds, step))

    async def _repeat(self, seconds: float, step: Callable[[], Awaitable[None] | None]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                work = step()
                if work is not None:
                    await work
            except Exception:  # noqa: BLE001 - the outermost point of this work: a bug must not end it
                self._log.exception("background step failed")

    async def settle(self, within: float) -> None:
        """Wait for all tasks, also for those they start; after `within` seconds cancel what is left."""
        deadline = asyncio.get_running_loop().time() + within
        while self._tasks and asyncio.get_running_loop().time() < deadline:
            await asyncio.wait(set(self._tasks), timeout=deadline - asyncio.get_running_loop().time())
        for task in set(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._log.error("background task failed", exc_info=task.exception())
