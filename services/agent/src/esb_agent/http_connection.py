"""A lean keep-alive HTTP/1.1 server connection: one request at a time in, one answer out.

Small on purpose: it is on the path of every call. httptools parses; framing, limits and answers are here.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

import httptools

PHRASES = {
    200: b"OK",
    202: b"Accepted",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    409: b"Conflict",
    410: b"Gone",
    413: b"Content Too Large",
}
STATUS_LINES = {status: b"HTTP/1.1 %d %s\r\n" % (status, phrase) for status, phrase in PHRASES.items()}
# The runtime client may report a function's error with up to 1 MiB of it in a header.
MAX_HEADER_BYTES = 1024 * 1024 + 64 * 1024
# A caller or a runtime needs one or two; a function that opens more must not use up the agent's descriptors.
MAX_CLIENTS = 64
# Below this, one write of a joined copy is cheaper than two writes.
JOIN_BYTES = 64 * 1024


class Peer(Protocol):
    """Who asked, and is to be answered once."""

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Send the answer; `headers` are complete lines. To a peer that has gone, nothing is sent."""


class Request:
    """A complete request. Header names are lower-case; of a repeated one the last counts."""

    __slots__ = ("body", "headers", "method", "path")

    def __init__(self, method: bytes, path: bytes, headers: dict[bytes, bytes], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body


class Handler(Protocol):
    """Who answers."""

    def on_request(self, peer: Peer, request: Request) -> None:
        """A complete request; `peer.answer` may be called now or later."""

    def on_oversized(self, peer: Peer, request: Request) -> None:
        """A request whose body, over the limit, was read away."""

    def on_gone(self, peer: Peer) -> None:
        """The peer closed the connection."""


def admit_all(_transport: asyncio.Transport) -> bool:
    """Whoever can connect may ask: for sockets that the file system guards."""
    return True


class Clients:
    """All clients of one server: at most `MAX_CLIENTS` at once, let go together.

    Bodies of at most `limit` bytes; a client `admit` refuses, or one too many, is cut off unheard.
    """

    def __init__(
        self, handler: Handler, limit: int, admit: Callable[[asyncio.Transport], bool] = admit_all
    ) -> None:
        self.handler = handler
        self.limit = limit
        self.open: set[Connection] = set()
        self._admit = admit

    def connection(self) -> "Connection":
        """For a client that comes now."""
        return Connection(self)

    def admits(self, transport: asyncio.Transport) -> bool:
        """Whether there is room for this one, and it may ask."""
        return len(self.open) < MAX_CLIENTS and self._admit(transport)

    def close(self) -> None:
        """Close all, once everything written is sent."""
        for connection in list(self.open):
            connection.close()


class Connection(asyncio.Protocol):
    """One client of a server."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._handler = clients.handler
        self._limit = clients.limit
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._asking = False
        self._keep_alive = True
        self._reset()

    def _reset(self) -> None:
        self._path = b""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._chunks: list[bytes] = []
        self._body_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The peer is there."""
        transport = cast(asyncio.Transport, transport)
        if self._clients.admits(transport):
            self._transport = transport
            self._clients.open.add(self)
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone; what it asked for goes on without it."""
        self._transport = None
        self._clients.open.discard(self)
        self._handler.on_gone(self)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is not HTTP ends the connection."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            # Ours, not the peer's: the event loop's handler logs it.
            raise error.__context__ or error from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.close()

    def on_url(self, url: bytes) -> None:
        """Parser: a piece of the path."""
        self._path += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: one header."""
        self._headers[name.lower()] = value
        self._count_head(len(name) + len(value))

    def _count_head(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            self.close()

    def on_headers_complete(self) -> None:
        """Parser: the body follows, if the peer isn't waiting for leave to send it."""
        self._keep_alive = self._parser.should_keep_alive()
        if self._transport and self._headers.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, chunk: bytes) -> None:
        """Parser: a piece of the body."""
        self._body_bytes += len(chunk)
        if self._body_bytes <= self._limit:
            self._chunks.append(chunk)
        else:
            self._chunks.clear()

    def on_message_complete(self) -> None:
        """Parser: the request is whole."""
        oversized = self._body_bytes > self._limit
        request = Request(self._parser.get_method(), self._path, self._headers, b"".join(self._chunks))
        self._reset()
        if self._asking or self._transport is None or self._transport.is_closing():
            # Closed for its headers; or a second request before the answer to the first: which answer is
            # whose could not be told.
            self.close()
            return
        self._asking = True
        if oversized:
            self._handler.on_oversized(self, request)
        else:
            self._handler.on_request(self, request)

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Send the answer to the request last given to the handler."""
        self._asking = False
        if self._transport is None or self._transport.is_closing():
            return
        head = b"%b%bContent-Length: %d\r\n\r\n" % (STATUS_LINES[status], headers, len(body))
        if len(body) < JOIN_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        if not self._keep_alive:
            self._transport.close()

    def close(self) -> None:
        """Close, once everything written is sent."""
        if self._transport:
            self._transport.close()
