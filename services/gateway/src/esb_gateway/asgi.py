"""ASGI on both sides of the gateway's endpoints.

`asgi_endpoint` makes an endpoint of an ASGI application: views, middleware. `answer_asgi` answers an ASGI
server's call by an endpoint: tests, and whoever puts another server in front. The rest is for the views,
which are ASGI applications themselves.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from esb_gateway.http_messages import ClientGoneError, Endpoint, Ends, Header, Request, Response
from esb_gateway.http_wire import BODILESS, CHUNK_BYTES

# Header names as they were sent stand under this key of the scope's extensions.
SPELLING = "esb.header_spelling"
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})


def request_of(scope: Scope, receive: Receive) -> Request:
    """Return the request that an ASGI server hands over."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8")
    spelled = (scope.get("extensions") or {}).get(SPELLING)
    return Request(
        scope["method"],
        raw.decode("latin-1").partition("?")[0],
        scope.get("query_string", b""),
        list(spelled or scope["headers"]),
        _Received(receive),
        ends=Ends(scope.get("client"), scope.get("server"), scope.get("scheme", "http")),
        http_version=scope.get("http_version", "1.1"),
    )


async def answer_asgi(endpoint: Endpoint, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request of an ASGI server."""
    try:
        response = await endpoint(request_of(scope, receive))
    except ClientGoneError:
        return
    if not response.in_parts:
        await respond(send, response.status, response.headers, response.body)
        return
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    for at in range(0, len(response.body), CHUNK_BYTES):
        part = response.body[at : at + CHUNK_BYTES]
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def asgi_endpoint(app: ASGIApp) -> Endpoint:
    """Return an endpoint that an ASGI application answers, in a task of its own.

    What it sends is collected and goes out when it is all there.
    """

    async def ask(request: Request) -> Response:
        answer = _Collected()
        await app(_scope(request), _Asked(request), answer)
        return answer.response()

    async def endpoint(request: Request) -> Response:
        return await asyncio.get_running_loop().create_task(ask(request))

    return endpoint


def _scope(request: Request) -> Scope:
    ends = request.ends
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": request.http_version,
        "server": ends.server,
        "client": ends.client,
        "scheme": ends.scheme,
        "root_path": "",
        "method": request.method,
        "path": request.path,
        "raw_path": request.raw_path.encode("latin-1"),
        "query_string": request.query,
        "headers": request.headers,
        "extensions": {SPELLING: request.sent},
    }


class _Received:
    """An ASGI server's `receive` as the source of a body."""

    __slots__ = ("_receive",)

    def __init__(self, receive: Receive) -> None:
        self._receive = receive

    async def part(self) -> tuple[bytes, bool]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        return message.get("body", b""), message.get("more_body", False)

    async def gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


class _Asked:
    """A request as an ASGI application's `receive`."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._more = True

    async def __call__(self) -> Message:
        if not self._more:
            await self._request.source.gone()
            return {"type": "http.disconnect"}
        body = self._request.whole()
        try:
            part, self._more = (body, False) if body is not None else await self._request.source.part()
        except ClientGoneError:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": self._more}


class _Collected:
    """An ASGI application's `send`, which keeps what is sent."""

    def __init__(self) -> None:
        self._status = 0
        self._headers: list[Header] = []
        self._parts: list[bytes] = []
        self._ended = self._in_parts = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self._parts.append(message.get("body", b""))
            self._ended = not message.get("more_body", False)
            self._in_parts = self._in_parts or not self._ended

    def response(self) -> Response:
        """What was sent.

        Raises:
            ClientGoneError: nothing, as an application does whose client has left.
            RuntimeError: not all of it.
        """
        if not self._status:
            raise ClientGoneError
        if not self._ended:
            raise RuntimeError("an ASGI application ended amid its response")
        said = dict(self._headers)
        body, length = b"".join(self._parts), said.get(b"content-length", b"")
        return Response(
            self._status,
            [header for header in self._headers if header[0].lower() not in _FRAMING],
            body,
            in_parts=self._in_parts and b"content-length" not in said,
            close=said.get(b"connection", b"").lower() == b"close",
            length=int(length) if length.isdigit() and not body else None,
        )


async def no_more() -> Message:
    """`receive` of a request whose body was read already."""
    return {"type": "http.request", "body": b""}


async def read_body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """Read the body of a request to an ASGI application.

    Raises:
        PayloadTooLargeError: it is, or says it is, longer than `limit` bytes.
        ClientGoneError: the connection broke.
    """
    request = Request("", "", b"", list(headers.items()), _Received(receive), ends=Ends())
    return await request.body(limit)


async def respond(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    """Send a whole response; Content-Length is added, unless the status has no body."""
    if status not in BODILESS:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
