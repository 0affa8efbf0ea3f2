"""The Lambda Runtime API, version 2018-06-01, as one worker sees it.

Paths and headers to exchange calls and back.
"""

import json

from esb_agent.drivers.function_error import error_json
from esb_agent.drivers.process.exchange import JSON_TYPE, Exchange
from esb_agent.http_connection import Peer, Request

PREFIX = b"/2018-06-01/runtime/"
NEXT = PREFIX + b"invocation/next"
INIT_ERROR = PREFIX + b"init/error"
INVOCATION = PREFIX + b"invocation/"
# What Lambda allows for a synchronous call.
MAX_RESPONSE_BYTES = 6 * 1024 * 1024 + 100


class RuntimeApi:
    """Serves one worker's runtime."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def on_request(self, peer: Peer, request: Request) -> None:
        """Route; anything else than the documented methods and paths is 404 or 405."""
        if request.path == NEXT:
            if request.method == b"GET":
                self._exchange.poll(peer)
            else:
                peer.answer(405, JSON_TYPE, error_json("MethodNotAllowed", "GET it"))
        elif request.method != b"POST":
            peer.answer(
                404, JSON_TYPE, error_json("NotFound", "no such resource of the Runtime API 2018-06-01")
            )
        elif request.path == INIT_ERROR:
            self._exchange.init_error(peer, error_body(request))
        else:
            self._on_result(peer, request)

    def _on_result(self, peer: Peer, request: Request) -> None:
        request_id, _, action = request.path.removeprefix(INVOCATION).partition(b"/")
        if not request.path.startswith(INVOCATION) or action not in {b"response", b"error"}:
            peer.answer(
                404, JSON_TYPE, error_json("NotFound", "no such resource of the Runtime API 2018-06-01")
            )
        elif action == b"error":
            self._exchange.fail(peer, request_id, error_body(request))
        else:
            content_type = request.headers.get(b"content-type", b"application/json")
            self._exchange.respond(peer, request_id, content_type, request.body)

    def on_oversized(self, peer: Peer, request: Request) -> None:
        """Too large a result is a function error, and the runtime is told so (AWS: 413)."""
        request_id = request.path.removeprefix(INVOCATION).partition(b"/")[0]
        message = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
        self._exchange.fail(
            peer, request_id, error_json("Function.ResponseSizeTooLarge", message), status=413
        )

    def on_gone(self, peer: Peer) -> None:
        """The runtime closed a connection."""
        self._exchange.dropped(peer)


def error_body(request: Request) -> bytes:
    """The runtime's own error JSON; made up from its header when it sent none."""
    try:
        if isinstance(json.loads(request.body), dict):
            return request.body
    except (ValueError, RecursionError):
        pass
    kind = request.headers.get(b"lambda-runtime-function-error-type", b"Runtime.Unknown")
    return error_json(kind.decode("latin-1"), request.body[:1024].decode("utf-8", "replace"))
