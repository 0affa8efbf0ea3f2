"""One request on a connection, from its head to its answer.

It drives its endpoint's coroutine itself: the first step at once, each further one when the future it waits
for is done. That is what a task does, but for the turn of the event loop before the first step, which costs
as much as parsing the request; so there is no current task in an endpoint.

It is the source of the request's body as well, for endpoints that start before all of it is here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from esb_gateway.http_messages import ClientGoneError, Endpoint, Request, Response

MOST_UNREAD = 64 * 1024


class Carrier(Protocol):
    """The connection of an exchange."""

    def ended(self, exchange: Exchange, result: Response | Exception | None) -> None:
        """Send the response; None: nobody is there to have one; or what an endpoint should not raise."""

    def wants_body(self, exchange: Exchange) -> None:
        """Let more of the body come."""


class Exchange:
    """Driver and body of one request; `taken` by its connection, in line or `started`."""

    __slots__ = (
        "_carrier",
        "_complete",
        "_coroutine",
        "_gone",
        "_parts",
        "_waited",
        "_waiter",
        "keep_alive",
        "request",
        "started",
        "taken",
        "unread",
    )

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._coroutine: Coroutine[Any, Any, Response] | None = None
        self._waited: asyncio.Future[Any] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._parts: list[bytes] = []
        self._complete = False
        self._gone = False
        self.request: Request | None = None
        self.keep_alive = True
        self.started = False
        self.taken = False
        self.unread = 0

    @property
    def complete_body(self) -> bool:
        """Whether all of the body has come."""
        return self._complete

    def start(self, endpoint: Endpoint, request: Request) -> None:
        """Run the endpoint until it waits for something, or to its end."""
        self.started = True
        try:
            self._coroutine = endpoint(request)
        except Exception as error:  # noqa: BLE001 - the outermost point of a request
            self._end(error)
        else:
            self._step()

    def cancel(self, msg: object = None) -> None:
        """Stop the endpoint where it waits."""
        if self._waited is not None:
            self._waited.cancel()

    def feed(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self._gone:  # answered before all of it came: nobody will read the rest
            return
        self._parts.append(data)
        self.unread += len(data)
        if self._waiter is not None:
            self._wake()

    def complete(self) -> None:
        """Take note that this was all of the body."""
        self._complete = True
        if self.request is not None and not self.started:
            parts = self._parts
            self.request.complete(parts[0] if len(parts) == 1 else b"".join(parts))
        elif self._waiter is not None:
            self._wake()

    def hang_up(self) -> None:
        """Take note that the client has gone; the endpoint's work goes on unless it waits for the body."""
        self._gone = True
        if self._waiter is not None:
            self._wake()

    async def part(self) -> tuple[bytes, bool]:
        """Return what has come since the last time, and whether more follows."""
        if not self._complete:
            self._carrier.wants_body(self)
        while not self._parts and not self._complete and not self._gone:
            await self._news()
        if self._gone:
            raise ClientGoneError
        data = b"".join(self._parts)
        self._parts.clear()
        self.unread = 0
        return data, not self._complete

    async def gone(self) -> None:
        """Return when the client has left, or has its answer."""
        while not self._gone:
            await self._news()

    async def _news(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _step(self, waited: asyncio.Future[Any] | None = None) -> None:
        coroutine = self._coroutine
        if coroutine is None:
            return
        self._waited = None
        try:
            future = coroutine.send(None)
        except StopIteration as end:
            self._end(end.value)
        except (ClientGoneError, asyncio.CancelledError):
            self._end(None)
        except Exception as error:  # noqa: BLE001 - the outermost point of a request
            self._end(error)
        else:
            if future is None:  # a bare yield, as `asyncio.sleep(0)` has it
                asyncio.get_running_loop().call_soon(self._step)
                return
            future._asyncio_future_blocking = False  # what a task does: it says that the yield was understood
            self._waited = future
            future.add_done_callback(self._step)

    def _end(self, result: Response | Exception | None) -> None:
        self._coroutine = None
        self._parts.clear()  # nobody reads them now; as unread they would stop what comes behind them
        self.unread = 0
        self._carrier.ended(self, result)
        self.request = None  # which refers to us as its source: nothing is left for the collector
        self.hang_up()
