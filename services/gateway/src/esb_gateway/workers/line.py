"""The calls of one function that wait for a worker: first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from esb_gateway.workers.worker import Worker


class _Waiter:
    """A place in line."""

    __slots__ = ("future", "since")

    def __init__(self, future: asyncio.Future[Worker], since: float) -> None:
        self.future = future
        self.since = since


class Line:
    """Places in line, and who is served next. `give_back` takes a worker whose caller has gone."""

    def __init__(self, monotonic: Callable[[], float], give_back: Callable[[Worker], None]) -> None:
        self._monotonic = monotonic
        self._give_back = give_back
        self._waiters: deque[_Waiter] = deque()

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def since(self) -> float | None:
        """When the first in line came, in monotonic time."""
        return self._waiters[0].since if self._waiters else None

    async def wait(
        self, patience: float, *, joined: Callable[[], None], too_late: Callable[[], Exception]
    ) -> Worker:
        """Stand in line.

        Args:
            patience: seconds to wait at most.
            joined: called when the place is taken.
            too_late: makes the error of who waited in vain.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop.create_future(), self._monotonic())
        future = waiter.future
        self._waiters.append(waiter)
        joined()
        timer = loop.call_later(patience, self._give_up, waiter, too_late)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._give_back(future.result())  # handed over in the moment the caller went away
            else:
                self._forget(waiter)
            raise
        finally:
            timer.cancel()

    def serve(self, worker: Worker) -> bool:
        """Hand the worker to the first in line; False when nobody waits."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.future.done():
                waiter.future.set_result(worker)
                return True
        return False

    def fail(self, error: Exception, *, first_only: bool = False) -> None:
        """Turn away all who wait, or the first of them."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.future.done():
                waiter.future.set_exception(error)
                if first_only:
                    return

    def _give_up(self, waiter: _Waiter, too_late: Callable[[], Exception]) -> None:
        if not waiter.future.done():
            self._forget(waiter)
            waiter.future.set_exception(too_late())

    def _forget(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
