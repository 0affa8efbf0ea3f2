"""The few things the gateway needs of ASGI; request and response objects would cost more than they give."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from esb_gateway.errors import PayloadTooLargeError

Header = tuple[bytes, bytes]

# The HTTP server keeps header names as they were sent under this key of the scope's extensions (see
# http_server.py).
SPELLING = "esb.header_spelling"


class ClientGoneError(Exception):
    """The client hung up before its request was complete."""


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """Read the request's body.

    Raises:
        PayloadTooLargeError: it is, or says it is, longer than `limit` bytes.
        ClientGoneError: the connection broke.
    """
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limit:
        raise PayloadTooLargeError(f"{int(announced)} bytes")
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        body = await _read_rest(body, receive, limit)
    if len(body) > limit:
        raise PayloadTooLargeError(f"more than {limit} bytes")
    return body


async def _read_rest(first: bytes, receive: Receive, limit: int) -> bytes:
    parts, size, more = [first], len(first), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit:
            raise PayloadTooLargeError(f"more than {limit} bytes")
        more = message.get("more_body", False)
    return b"".join(parts)


async def respond(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    """Send a whole response; Content-Length is added, unless the status has no body."""
    if status not in {204, 304}:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def spelled_headers(scope: Scope) -> list[Header]:
    """Return the headers as they were sent; in lower case from servers that don't keep the spelling."""
    extensions = scope.get("extensions") or {}
    spelled: list[Header] = extensions.get(SPELLING) or scope["headers"]
    return spelled


def raw_path(scope: Scope) -> str:
    """Return the path as it was sent, percent-encoded, without the query."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8")
    return raw.decode("latin-1").partition("?")[0]
