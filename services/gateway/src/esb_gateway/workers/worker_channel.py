"""One keep-alive HTTP/1.1 connection to one worker, one call at a time.

    request bytes ─▶ socket ─▶ httptools ─▶ WorkerAnswer

Written on asyncio's Protocol because this is the hottest path of the box: a general client spends more time
on sessions, redirects and cookies than the call itself takes.
"""

from __future__ import annotations

import asyncio
from typing import cast
from urllib.parse import urlsplit

import httptools
from attrs import define

# AWS: 6 MB of answer plus 100 bytes; what a worker sends beyond it is cut off, not buffered.
MAX_ANSWER_BYTES = 6 * 1024 * 1024 + 100
_JOIN_BELOW = 64 * 1024  # one write for head and body; above it copying costs more than a second write


class WorkerError(Exception):
    """The worker gave no answer."""


class WorkerUnreachedError(WorkerError):
    """No worker has got the call whole, so none has run it: it may be given to another."""


class WorkerLostError(WorkerError):
    """The connection broke after the call was sent: nobody knows whether the function ran."""


class WorkerTimeoutError(WorkerError):
    """No answer within the deadline."""


class AnswerTooLargeError(WorkerError):
    """The answer is longer than MAX_ANSWER_BYTES."""


@define
class WorkerAnswer:
    """What came back; nobody changes it (freezing would cost more than parsing does).

    `gone` says why the worker must not be used again ("timeout", "exit", "oom"); `log_result` is the end of
    the call's log in base64, when the call asked for it and the worker can tell.
    """

    status: int
    body: bytes
    function_error: str | None
    gone: str | None
    log_result: str | None = None


class WorkerChannel:
    """A worker's data path. Connects on first use and again when the worker closed an idle connection."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._connection: _Connection | None = None

    @property
    def alive(self) -> bool:
        """False when the worker's side has closed the connection; the next call shows whether it listens."""
        return self._connection is not None and not self._connection.closed

    async def call(self, head: bytes, body: bytes, within: float) -> WorkerAnswer:
        """Send one request and wait for its answer.

        Args:
            head: request line and headers with the empty line, Content-Length included.
            body: as announced in the head.
            within: seconds from now until WorkerTimeoutError.

        Raises:
            WorkerError: one of its leaves; the channel is unusable after any but WorkerUnreachedError.
        """
        connection = self._connection
        if connection is None or connection.closed:
            # a task: whoever calls may have none (see exchange.py), and the timeout needs one
            opening = asyncio.create_task(self._connect(within))
            connection = self._connection = await opening
        try:
            return await connection.send(head, body, within)
        except asyncio.CancelledError:
            connection.close()  # the answer on its way would be taken for the next call's
            raise

    async def connect(self, within: float) -> None:
        """Open the connection ahead of the first call.

        Raises:
            WorkerUnreachedError: nobody listens there.
        """
        self._connection = await self._connect(within)

    def close(self) -> None:
        """Drop the connection; a call in flight ends with WorkerLostError."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _connect(self, within: float) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                if self.address.startswith("unix:"):
                    _, protocol = await loop.create_unix_connection(
                        lambda: _Connection(loop, local=True), self.address[len("unix:") :]
                    )
                else:
                    url = urlsplit(self.address)
                    _, protocol = await loop.create_connection(
                        lambda: _Connection(loop), url.hostname or "", url.port or 80
                    )
        except (OSError, TimeoutError) as error:
            raise WorkerUnreachedError(f"{self.address}: {error or 'timed out'}") from error
        return protocol


class _Connection(asyncio.Protocol):
    """Parser callbacks (`on_*`) and transport callbacks of one connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, local: bool = False) -> None:
        self._loop = loop
        self._local = local
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[WorkerAnswer] | None = None
        self._within = 0.0
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.closed = False
        self._sent = False
        self._reset()

    def _reset(self) -> None:
        self._body: list[bytes] = []
        self._size = 0
        self._function_error: str | None = None
        self._gone: str | None = None
        self._log_result: str | None = None

    def send(self, head: bytes, body: bytes, within: float) -> asyncio.Future[WorkerAnswer]:
        """Send one request and return what gets its answer."""
        transport = self._transport
        if transport is None or self._waiter is not None:
            raise WorkerUnreachedError("the connection is in use")
        waiter: asyncio.Future[WorkerAnswer] = self._loop.create_future()
        self._waiter = waiter
        self._sent = False
        if len(body) < _JOIN_BELOW:
            # In the next turn, with the writes of other calls: see http_server.py.
            self._loop.call_soon(self._write, transport, head + body)
        else:
            self._sent = True
            transport.writelines((head, body))
        self._watch(within)
        return waiter

    def _write(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        if not self.closed:
            self._sent = True
            transport.write(data)

    def _watch(self, within: float) -> None:
        """Set the call's deadline. One timer stays from call to call: most end long before it."""
        self._within, self._deadline = within, self._loop.time() + within
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._look)
        else:
            self._fail(WorkerTimeoutError(f"no answer within {self._within:g} s"))

    def _settle(self) -> asyncio.Future[WorkerAnswer] | None:
        """Who waits for an answer, if anybody does; nobody does from now on."""
        waiter, self._waiter = self._waiter, None
        return None if waiter is None or waiter.done() else waiter

    def close(self) -> None:
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: WorkerError) -> None:
        waiter = self._settle()
        if waiter is not None:
            waiter.set_exception(error)
        self.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def eof_received(self) -> None:
        # `connection_lost` comes a turn later; what is sent in between would count as sent and go nowhere.
        self.closed = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiter = self._settle()
        if waiter is not None:
            # On a unix socket these say that the worker's side closed before it had read all there was.
            unread = self._local and isinstance(exc, BrokenPipeError | ConnectionResetError)
            kind = WorkerLostError if self._sent and not unread else WorkerUnreachedError
            waiter.set_exception(kind(f"connection closed by the worker: {exc or 'end of file'}"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(WorkerLostError(f"not an HTTP answer: {error}"))

    def on_header(self, name: bytes, value: bytes) -> None:
        lowered = name.lower()
        if lowered == b"x-amz-function-error":
            self._function_error = value.decode("latin-1")
        elif lowered == b"x-esb-worker-gone":
            self._gone = value.decode("latin-1")
        elif lowered == b"x-esb-log-result":
            self._log_result = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MAX_ANSWER_BYTES:
            self._fail(AnswerTooLargeError(f"more than {MAX_ANSWER_BYTES} bytes"))
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        if not self._parser.should_keep_alive():
            self.closed = True
        status = self._parser.get_status_code()
        answer = WorkerAnswer(status, body, self._function_error, self._gone, self._log_result)
        self._reset()
        waiter = self._settle()
        if waiter is not None:
            waiter.set_result(answer)
        if self.closed and self._transport is not None:
            self._transport.close()
