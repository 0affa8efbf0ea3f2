"""Work on the store that must not be lost: done again until the disk takes it, or the gateway stops."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from math import inf
from typing import TypeVar

from esb_gateway.async_invoke.event_store import EventStore
from esb_gateway.async_invoke.event_tools import EventTools
from esb_gateway.async_invoke.store_writer import StoreWriter

_T = TypeVar("_T")
_STORE_PAUSE = 1.0


class SureWrites:
    """A StoreWriter that doesn't take no for an answer.

    Work that is done again may come after work that was asked for later: it says what holds when it is done.
    """

    def __init__(self, writer: StoreWriter, tools: EventTools) -> None:
        self._writer = writer
        self._stats = tools.stats
        self._monotonic = tools.clock.monotonic
        self._log = tools.log
        self._complained = -inf
        self._stopping = False

    def stop(self) -> None:
        """From now on what fails stays undone: the next run does it."""
        self._stopping = True

    async def do(self, work: Callable[[EventStore], _T]) -> _T:
        """Do `work`; returns when it is on disk."""
        while True:
            try:
                return await self._writer.do(work)
            except sqlite3.Error as error:
                if self._stopping:
                    raise
                self._complain(error)
                await asyncio.sleep(_STORE_PAUSE)

    def _complain(self, error: sqlite3.Error) -> None:
        """Thousands may wait for the disk: one line speaks for all."""
        self._stats.event_store_failures += 1
        now = self._monotonic()
        if now - self._complained >= _STORE_PAUSE:
            self._complained = now
            self._log.error("events not written", error=str(error))
