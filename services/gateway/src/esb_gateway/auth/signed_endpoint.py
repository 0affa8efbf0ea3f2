"""An endpoint that only signed requests reach.

    headers ─precheck▶ body ─▶ signature compared ─▶ the endpoint

Who has no key of this box is refused before a byte of the body is read.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import orjson

from esb_gateway.auth.errors import AuthError
from esb_gateway.auth.sigv4 import SignedRequest, SigV4, body_hash
from esb_gateway.errors import PayloadTooLargeError, lambda_error
from esb_gateway.front import Front
from esb_gateway.http_messages import Endpoint, Header, Request, Response

MAX_BYTES = 6 * 1024 * 1024
_JSON: Header = (b"content-type", b"application/json")


class SignedEndpoint:
    """Checks signatures before `endpoint`."""

    def __init__(self, endpoint: Endpoint, sigv4: SigV4, front: Front) -> None:
        self._endpoint = endpoint
        self._sigv4 = sigv4
        self._front = front

    def __call__(self, request: Request) -> Coroutine[Any, Any, Response]:
        """Pass on what is signed; answer everything else as AWS does."""
        body = request.whole()
        small = body is not None and len(body) <= MAX_BYTES
        if body is not None and small and self._sigv4.knows(request, body, self._front.clock.now()):
            return self._endpoint(request)
        return self._examine(request)

    async def _examine(self, request: Request) -> Response:
        method, path, query = request.method, request.raw_path, request.query
        try:
            signature = self._sigv4.precheck(
                SignedRequest(method, path, query, request.headers), self._front.clock.now()
            )
            hashed = body_hash(await _body(request))
            self._sigv4.check(SignedRequest(method, path, query, request.headers, hashed), signature)
        except AuthError as error:
            return self._refuse(error.status, error.code, {"message": str(error)})
        except PayloadTooLargeError as error:
            row = lambda_error(error)
            return self._refuse(row.status, row.code, {"Type": row.fault, "message": str(error)})
        return await self._endpoint(request)

    def _refuse(self, status: int, code: str, told: dict[str, str]) -> Response:
        front = self._front
        request_id = front.ids.request_id()
        headers = [
            _JSON,
            (b"x-amzn-errortype", code.encode("ascii")),
            (b"x-amzn-requestid", request_id.encode("ascii")),
        ]
        if front.access.on:
            refusal = f"{code}: {told['message'].partition(chr(10))[0]}"
            front.access.write(
                {"door": "invoke", "request_id": request_id, "status": status, "error": refusal}, 0.0
            )
        return Response(status, headers, orjson.dumps(told))


async def _body(request: Request) -> bytes:
    try:
        return await request.body(MAX_BYTES)
    except PayloadTooLargeError as error:
        raise PayloadTooLargeError(
            f"Request must be smaller than {MAX_BYTES} bytes for the InvokeFunction operation, found {error}"
        ) from error
