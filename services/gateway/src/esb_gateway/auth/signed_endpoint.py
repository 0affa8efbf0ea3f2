"""An ASGI endpoint that only signed requests reach.

    headers ─precheck▶ body, hashed as it comes ─▶ signature compared ─▶ the endpoint, with the body to read

Who has no key of this box is refused before a byte of the body is read.
"""

from __future__ import annotations

import hashlib

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from esb_gateway.asgi import Header, raw_path, respond
from esb_gateway.auth.errors import AuthError
from esb_gateway.auth.sigv4 import SignedRequest, SigV4
from esb_gateway.errors import PayloadTooLargeError, lambda_error
from esb_gateway.front import Front

MAX_BYTES = 6 * 1024 * 1024
_JSON: Header = (b"content-type", b"application/json")


class SignedEndpoint:
    """Checks signatures before `app`."""

    def __init__(self, app: ASGIApp, sigv4: SigV4, front: Front) -> None:
        self._app = app
        self._sigv4 = sigv4
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is signed; answer everything else as AWS does."""
        headers: list[Header] = scope["headers"]
        method, path, query = scope["method"], raw_path(scope), scope["query_string"]
        try:
            signature = self._sigv4.precheck(
                SignedRequest(method, path, query, headers), self._front.clock.now()
            )
            _check_announced(headers)
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            if message.get("more_body"):
                whole = await _read_rest(message, receive)
                if whole is None:
                    return
                message, hashed = whole
            else:
                hashed = hashlib.sha256(message.get("body", b"")).hexdigest()
            self._sigv4.check(SignedRequest(method, path, query, headers, hashed), signature)
        except AuthError as error:
            await self._refuse(send, error.status, error.code, {"message": str(error)})
            return
        except PayloadTooLargeError as error:
            row = lambda_error(error)
            await self._refuse(send, row.status, row.code, {"Type": row.fault, "message": str(error)})
            return
        await self._app(scope, Replay(message, receive), send)

    async def _refuse(self, send: Send, status: int, code: str, told: dict[str, str]) -> None:
        front = self._front
        request_id = front.ids.request_id()
        headers = [
            _JSON,
            (b"x-amzn-errortype", code.encode("ascii")),
            (b"x-amzn-requestid", request_id.encode("ascii")),
        ]
        await respond(send, status, headers, orjson.dumps(told))
        if front.access.on:
            refusal = f"{code}: {told['message'].partition(chr(10))[0]}"
            front.access.write(
                {"door": "invoke", "request_id": request_id, "status": status, "error": refusal}, 0.0
            )


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


def _check_announced(headers: list[Header]) -> None:
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and (len(value) > 9 or int(value) > MAX_BYTES):
            raise _too_large(f"{value[:20].decode()} bytes")


async def _read_rest(first: Message, receive: Receive) -> tuple[Message, str] | None:
    """The whole body and its hash; None when the client hung up."""
    hashed, parts, size = hashlib.sha256(), [], 0
    message = first
    while True:
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BYTES:
            raise _too_large(f"more than {MAX_BYTES} bytes")
        hashed.update(part)
        parts.append(part)
        if not message.get("more_body"):
            return {"type": "http.request", "body": b"".join(parts)}, hashed.hexdigest()
        message = await receive()
        if message["type"] == "http.disconnect":
            return None


def _too_large(found: str) -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"Request must be smaller than {MAX_BYTES} bytes for the InvokeFunction operation, found {found}"
    )
