"""Tasks of a driver that nobody awaits: kept from being collected, and heard when a bug ends them."""

import asyncio
from collections.abc import Coroutine

import structlog

log = structlog.get_logger()


class Background:
    """Starts tasks and knows those that run."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run `work` on its own; a failure is logged."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_log_bug)
        return task

    def cancel(self) -> None:
        """Cancel what runs; `settled` waits for its end."""
        for task in self._tasks:
            task.cancel()

    async def settled(self) -> None:
        """Return when what runs now has ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _log_bug(task: asyncio.Task[None]) -> None:
    """The outermost layer of what runs in the background."""
    if not task.cancelled() and (bug := task.exception()):
        log.error("background work ended by a bug", exc_info=bug)
