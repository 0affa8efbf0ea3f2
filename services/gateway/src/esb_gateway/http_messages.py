"""A request and a response as values: what every endpoint takes and gives, whichever server is in front.

    Endpoint = Request ─▶ Response, awaited

An endpoint runs without a task of its own (see exchange.py): what has to have one, like `asyncio.timeout`, is
done in a task that the endpoint awaits.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol
from urllib.parse import unquote

from attrs import define, frozen

from esb_gateway.errors import PayloadTooLargeError

Header = tuple[bytes, bytes]


class ClientGoneError(Exception):
    """The client hung up before its request was complete."""


@frozen
class Ends:
    """The two ends of a connection, as (address, port), and how it is spoken."""

    client: tuple[str, int] | None = None
    server: tuple[str, int | None] | None = None
    scheme: str = "http"


class BodySource(Protocol):
    """Where the body of a request comes from, piece by piece."""

    async def part(self) -> tuple[bytes, bool]:
        """Return the next piece, and whether more follow.

        Raises:
            ClientGoneError: the connection broke before.
        """

    async def gone(self) -> None:
        """Return when the client has left, or has its answer."""


class Request:
    """One request; `raw_path` and `query` are as sent.

    `sent` are the headers as they were sent, `headers` the same with names in lower case, `fields` the last
    value of each name.
    """

    __slots__ = (
        "_body",
        "ends",
        "fields",
        "http_version",
        "method",
        "query",
        "raw_path",
        "sent",
        "source",
    )

    def __init__(
        self,
        method: str,
        raw_path: str,
        query: bytes,
        sent: list[Header],
        source: BodySource,
        *,
        ends: Ends,
        http_version: str = "1.1",
    ) -> None:
        self.method = method
        self.raw_path = raw_path
        self.query = query
        self.sent = sent
        self.fields = {name.lower(): value for name, value in sent}
        self.source = source
        self.ends = ends
        self.http_version = http_version
        self._body: bytes | None = None

    @property
    def headers(self) -> list[Header]:
        """The headers with their names in lower case."""
        return [(name.lower(), value) for name, value in self.sent]

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(self.raw_path) if "%" in self.raw_path else self.raw_path

    def complete(self, body: bytes) -> None:
        """Say that the whole body is here already."""
        self._body = body

    async def body(self, limit: int) -> bytes:
        """Return the body; asked again, the same.

        Raises:
            PayloadTooLargeError: it is, or says it is, longer than `limit` bytes; then it isn't read on.
            ClientGoneError: the connection broke.
        """
        announced = self.fields.get(b"content-length", b"")
        if announced.isdigit() and (len(announced) > 18 or int(announced) > limit):
            raise PayloadTooLargeError(f"{announced[:20].decode()} bytes")
        body = self._body
        if body is None:
            body = self._body = await self._read(limit)
        if len(body) > limit:
            raise PayloadTooLargeError(f"more than {limit} bytes")
        return body

    async def _read(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            part, more = await self.source.part()
            parts.append(part)
            size += len(part)
            if size > limit:
                raise PayloadTooLargeError(f"more than {limit} bytes")
        return b"".join(parts)

    def whole(self) -> bytes | None:
        """The body, when it is here already."""
        return self._body


@define
class Response:
    """An answer; names of headers in lower case, and none that frames the body: the server does that.

    `in_parts` sends the body in chunks, its length unsaid; `close` ends the connection. `length` is what a
    HEAD request is told, where the body isn't here.
    """

    status: int
    headers: list[Header]
    body: bytes = b""
    in_parts: bool = False
    close: bool = False
    length: int | None = None


Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]
