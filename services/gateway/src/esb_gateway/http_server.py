"""The gateway's HTTP/1.1 connections: bytes ─▶ Request ─▶ endpoint ─▶ Response ─▶ bytes.

uvicorn accepts, counts and ends the connections, this protocol speaks on them (ADR 13). A request whose body
came with its head is answered without a task, a timer or an event; its response goes out in one write.
Requests that come before the one ahead is answered wait for it.

Header names are kept as they were sent: a REST API's event shows a function what the client wrote. What
follows a chunked body (trailers) is dropped: as headers it would say, behind the back of the proxy that
looked at the head, who the client is.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from esb_gateway.asgi import asgi_endpoint
from esb_gateway.exchange import MOST_UNREAD, Exchange
from esb_gateway.http_messages import Endpoint, Ends, Header, Request, Response
from esb_gateway.http_wire import encode_response
from esb_gateway.slow_clients import CLIENT_TIMEOUT, HEAD_LIMIT, PatientProtocol

_log = logging.getLogger(__name__)
_SLASH, _HASH = b"/#"  # as numbers: to look for one is many times as quick as for a piece of bytes


class TunnelError(Exception):
    """CONNECT: this is no proxy."""


class GatewayProtocol(PatientProtocol):
    """One connection; without an endpoint the server's ASGI application answers."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        endpoint: Endpoint | None = None,
        client_timeout: float = CLIENT_TIMEOUT,
    ) -> None:
        super().__init__(_loop or asyncio.get_running_loop(), client_timeout)
        self._endpoint = endpoint or asgi_endpoint(config.loaded_app)
        self._state = server_state
        self._parser = self._new_parser()
        self._last_words: bytes | None = None  # a refusal that waits for the responses before it
        self._ends = Ends()
        self._lost = False
        self._closing = False
        self._url = b""
        self._sent: list[Header] = []
        self._coming: Exchange | None = None  # whose bytes arrive
        self._active: Exchange | None = None  # whose endpoint runs
        self._waiting: deque[Exchange] = deque()
        self._said: list[Header] | None = None
        self._said_lines = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over a new connection."""
        super().connection_made(transport)
        self._state.connections.add(self)  # type: ignore[arg-type] # uvicorn names its own protocols only
        scheme = "https" if is_ssl(self.transport) else "http"
        self._ends = Ends(get_remote_addr(self.transport), get_local_addr(self.transport), scheme)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the call go on, if there is one: as on AWS, hanging up ends nothing."""
        super().connection_lost(exc)
        self._lost = True
        self._state.connections.discard(self)
        self._waiting.clear()
        if self._active is not None:
            self._active.hang_up()

    def eof_received(self) -> None:
        """Close; what is under way is dropped with the connection."""

    def data_received(self, data: bytes) -> None:
        """Take bytes; requests that are whole after them run in here."""
        self._received += len(data)
        self._unbodied += len(data)
        self._idle_since = None
        if self._refused:
            return
        try:
            self._parse(data)
        except httptools.HttpParserError:
            _log.warning("Invalid HTTP request received.")
            self.refuse()
            return
        coming = self._coming
        if coming is not None and not coming.taken:
            self._take(coming)
        if self._in_body or self._begun or self._reading is not None:
            self.look_after()
        if self._active is None and not (self._in_body or self._begun or self._waiting):
            self.keep_for_a_while()  # the rest of a body whose response went out before it, or blank lines

    def _parse(self, data: bytes) -> None:
        """Feed the parser, which takes what follows a wish for another protocol for that protocol.

        Its body would be read as the next request. So such a head is fed once more without that wish.
        """
        left = memoryview(data)
        while True:
            try:
                self._parser.feed_data(left)
            except httptools.HttpParserUpgrade as stop:
                left = left[stop.args[0] :]
                head = self._head_again()
                self._parser = self._new_parser()
                self._parser.feed_data(head)
            else:
                return

    def _head_again(self) -> bytes:
        parser = self._parser
        first = f"HTTP/{parser.get_http_version()}\r\n".encode("ascii")
        lines = [b"%b: %b\r\n" % header for header in self._sent if header[0].lower() != b"upgrade"]
        return b"%b %b %b%b\r\n" % (parser.get_method(), self._url, first, b"".join(lines))

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # A response before the end of the connection must not be lost for what stands behind its request.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def on_message_begin(self) -> None:
        """Start a request."""
        self._begun = self._in_head = True
        self._url = b""
        self._sent = []

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; not one behind the body."""
        if not self._in_body:
            self._sent.append((name, value))

    def on_headers_complete(self) -> None:
        """Make the request of its head."""
        parser = self._parser
        if parser.should_upgrade():
            if parser.get_method() == b"CONNECT":
                raise TunnelError
            return  # see `_parse`
        path, query = _target(self._url)
        version = parser.get_http_version()
        exchange = Exchange(self)
        request = Request(
            parser.get_method().decode("ascii"),
            path,
            query,
            self._sent,
            exchange,
            ends=self._ends,
            http_version=version,
        )
        if self._received > HEAD_LIMIT or len(request.fields) != len(self._sent):
            self.check_head(request.headers)
        exchange.request = request
        exchange.keep_alive = version != "1.0" and parser.should_keep_alive()
        self._coming = exchange
        self._in_head, self._in_body, self._received, self._unbodied = False, True, 0, 0

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._unbodied = 0
        coming = self._coming
        if coming is not None:
            coming.feed(body)
            if coming.unread > MOST_UNREAD and coming.taken:
                self._pause_reading()

    def on_message_complete(self) -> None:
        """Answer a request that is whole, unless its endpoint runs already."""
        if self._parser.should_upgrade():
            return
        self._in_body = self._begun = False
        self._in_head, self._received = True, 0
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.complete()
            if not coming.taken:
                self._take(coming)

    def shutdown(self) -> None:
        """Close, after the responses to what is here."""
        self._closing = True
        if self._active is None and not self._waiting:
            self.transport.close()

    def resume_writing(self) -> None:
        """Go on with requests that waited for the client to read."""
        super().resume_writing()
        self._go_on()

    def wants_body(self, exchange: Exchange) -> None:
        """Let the rest of a body come, after `100 Continue` where the client waits for it."""
        request = exchange.request
        waits = request is not None and request.fields.pop(b"expect", b"").lower() == b"100-continue"
        if waits and not exchange.unread and not self._lost:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._resume_reading()

    def ended(self, exchange: Exchange, result: Response | Exception | None) -> None:
        """Send the response and go on with the next request."""
        self._state.tasks.discard(exchange)
        self._state.total_requests += 1
        self._active = None
        request = exchange.request
        words = None if self._waiting else self._last_words
        if self._lost or request is None or self.transport.is_closing():
            return
        if result is None:
            self.transport.close()
            return
        if isinstance(result, Exception):
            _log.error("Exception in an endpoint", exc_info=result)
            text = [(b"content-type", b"text/plain; charset=utf-8")]
            result = Response(500, text, b"Internal Server Error", close=True)
        close = result.close or not exchange.keep_alive or (self._closing and not self._waiting)
        if not exchange.complete_body and b"expect" in request.fields:
            close = True  # nobody knows whether the body comes that the client was not asked for
        if self._said is not self._state.default_headers:
            self._said = self._state.default_headers
            self._said_lines = b"".join(b"%b: %b\r\n" % header for header in self._said)
        old = request.http_version == "1.0"
        head_only = request.method == "HEAD"
        self.transport.write(
            encode_response(result, self._said_lines, head_only=head_only, old=old, close=close)
        )
        if words is not None and not close:
            self.transport.write(words)
            close = True
        if close:
            self.transport.close()
        elif self._waiting or self._read_paused:
            self.loop.call_soon(self._go_on)  # not from in here: a thousand requests may wait
        else:
            self.keep_for_a_while()

    def _take(self, exchange: Exchange) -> None:
        exchange.taken = True
        if self.transport.is_closing():
            return
        if self._active is None and not self._waiting and not self._write_paused:
            self._start(exchange)
        else:
            self._waiting.append(exchange)
            self._pause_reading()

    def _start(self, exchange: Exchange) -> None:
        request = exchange.request
        if request is not None:
            self._active = exchange
            self._idle_since = None
            self._state.tasks.add(exchange)  # type: ignore[arg-type] # see `ended`
            exchange.start(self._endpoint, request)

    def _go_on(self) -> None:
        """Start the next request, or read on."""
        if self._active is not None or self._write_paused or self.transport.is_closing():
            return
        if self._waiting:
            self._start(self._waiting.popleft())
        else:
            self._resume_reading()
            self.keep_for_a_while()

    def _end(self, answer: bytes) -> None:
        """Refuse after the responses to requests that are whole: it would be taken for one of them."""
        coming = self._coming
        if coming is not None and coming in self._waiting:
            self._waiting.remove(coming)
        if (self._active is None or self._active is coming) and not self._waiting:
            super()._end(answer)
        elif not self.transport.is_closing():
            self._last_words = answer
            self._pause_reading()

    def _pause_reading(self) -> None:
        if not self._read_paused:
            self._read_paused = True
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused and not self._waiting and not self._refused and not self.transport.is_closing():
            self._read_paused = False
            self.transport.resume_reading()


def _target(url: bytes) -> tuple[str, bytes]:
    """Path and query of a request's target.

    Raises:
        UnicodeDecodeError, httptools.HttpParserInvalidURLError: it is none.
    """
    if url[0] == _SLASH and _HASH not in url:
        path, _, query = url.partition(b"?")
        return path.decode("ascii"), query
    parsed = httptools.parse_url(url)
    return parsed.path.decode("ascii"), parsed.query or b""
