"""The one thread that touches the database: everything asked for while it commits goes into the next commit.

do(work) ─▶ line ─▶ thread: BEGIN, all that is there, COMMIT (one write-through for all) ─▶ futures
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from attrs import frozen

from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_store import EventStore

_T = TypeVar("_T")
_MOST_AT_ONCE = 256
_MOST_BYTES = 8 * 1024 * 1024  # SQLite copies what it inserts


@frozen
class _Job:
    """Work on the store, or an event to be inserted together with others."""

    work: Callable[[EventStore], Any] | QueuedEvent
    future: asyncio.Future[Any]

    @property
    def size(self) -> int:
        """Bytes to be inserted."""
        return len(self.work.call.body) if isinstance(self.work, QueuedEvent) else 0


class StoreWriter:
    """Runs work on the store, in the order it was asked for; started by the first `do`."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def do(self, work: Callable[[EventStore], _T]) -> asyncio.Future[_T]:
        """Do `work` in a transaction with others; the future is done when that is on disk, or failed."""
        return self._put(work)

    def add(self, event: QueuedEvent) -> asyncio.Future[int]:
        """Insert an event, as `do` would; those that come together go in together."""
        return self._put(event)

    def _put(self, work: Callable[[EventStore], Any] | QueuedEvent) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise sqlite3.ProgrammingError("the store is closed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(loop,), name="events", daemon=True)
            self._thread.start()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(_Job(work, future))
        return future

    async def close(self) -> None:
        """Finish what was asked for and close the store; what comes later raises sqlite3.ProgrammingError."""
        self._closed = True
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
        self._store.close()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        last = False
        while not last:
            jobs, last = self._next()
            loop.call_soon_threadsafe(_tell, jobs, self._do(jobs))
            del jobs  # payloads are not kept while this waits

    def _next(self) -> tuple[list[_Job], bool]:
        """Wait for work and return all there is, within reason; and whether nothing comes after it."""
        jobs: list[_Job] = []
        size = 0
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            size += job.size
            if len(jobs) == _MOST_AT_ONCE or size >= _MOST_BYTES:
                return jobs, False
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, False
        return jobs, True

    def _do(self, jobs: list[_Job]) -> list[Any]:
        """Results, or the exceptions in their place. When one job fails, each is done again on its own."""
        store = self._store
        try:
            return store.together(lambda: _results(store, jobs))
        except Exception as error:  # noqa: BLE001 - the outermost point of this thread; whoever asked gets it
            if len(jobs) == 1:
                return [error]
        return [self._do([job])[0] for job in jobs]


def _results(store: EventStore, jobs: list[_Job]) -> list[Any]:
    """What the jobs give, done in their order."""
    results: list[Any] = []
    events: list[QueuedEvent] = []
    for job in jobs:
        if isinstance(job.work, QueuedEvent):
            events.append(job.work)
            continue
        if events:
            results += store.add_all(events)
            events.clear()
        results.append(job.work(store))
    if events:
        results += store.add_all(events)
    return results


def _tell(jobs: list[_Job], results: list[Any]) -> None:
    for job, result in zip(jobs, results, strict=True):
        if job.future.done():  # cancelled: nobody waits for it any more
            continue
        if isinstance(result, Exception):
            job.future.set_exception(result)
        else:
            job.future.set_result(result)
