"""The box's own views (workers, functions, routes, events), for those who may see and steer it."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from esb_gateway.asgi import read_body, respond
from esb_gateway.auth.errors import AuthError
from esb_gateway.errors import CallError, route_error
from esb_gateway.http_messages import ClientGoneError

MAX_BYTES = 1024 * 1024
Admin = Callable[[Scope, bytes], None]


class GuardedEndpoint:
    """Asks `admin` before `app`; refusals are JSON, `{"message": …}`."""

    def __init__(self, app: ASGIApp, admin: Admin) -> None:
        self._app = app
        self._admin = admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass; the endpoint reads the body again."""
        try:
            body = await read_body(dict(scope["headers"]), receive, MAX_BYTES)
            self._admin(scope, body)
        except ClientGoneError:
            return
        except CallError as error:
            await refuse(send, error)
            return
        await self._app(scope, Replay({"type": "http.request", "body": body}, receive), send)


class Replay:
    """`receive` of a request whose body was read already."""

    __slots__ = ("_first", "_receive")

    def __init__(self, first: Message, receive: Receive) -> None:
        self._first: Message | None = first
        self._receive = receive

    async def __call__(self) -> Message:
        """Give the body once, then what the server has to say."""
        first, self._first = self._first, None
        return first if first is not None else await self._receive()


async def refuse(send: Send, error: CallError) -> None:
    """Answer a refusal as AWS does for signatures; 413 for long bodies, 429 for too many tries."""
    if isinstance(error, AuthError):
        status, code, text = error.status, error.code, str(error)
    else:
        row = route_error(error)
        status, code, text = row.status, row.error_type, row.message
    headers = [(b"content-type", b"application/json"), (b"x-amzn-errortype", code.encode("ascii"))]
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    await respond(send, status, headers, orjson.dumps({"message": text}))
