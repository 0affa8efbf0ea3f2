"""The routes of routing.yml: HTTP request ─▶ event ─▶ function ─▶ HTTP response, as API Gateway does it."""

from __future__ import annotations

import orjson
from starlette.types import Receive, Scope, Send

from esb_gateway.asgi import ClientGoneError, Header, raw_path, read_body, respond, spelled_headers
from esb_gateway.deployment import Deployment
from esb_gateway.errors import (
    CallError,
    FunctionFailedError,
    FunctionTimedOutError,
    MalformedAnswerError,
    UnknownFunctionError,
    UnknownRouteError,
    route_error,
)
from esb_gateway.front import Front
from esb_gateway.routes.events import build_event
from esb_gateway.routes.proxy_request import ApiIdentity, ProxyRequest
from esb_gateway.routes.proxy_response import ProxyResponse, read_answer
from esb_gateway.routes.router import REST, Match
from esb_gateway.tracing import bare_context, given_trace
from esb_gateway.workers.invoker import Answer, Call, Target

MAX_BODY_BYTES = 10 * 1024 * 1024
_JSON: Header = (b"content-type", b"application/json")


class ApiRoutes:
    """ASGI endpoint of every path that is not the gateway's own."""

    def __init__(self, front: Front, identity: ApiIdentity) -> None:
        self._front = front
        self._identity = identity

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and log it."""
        front = self._front
        started = front.clock.monotonic()
        request_id = front.ids.request_id()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        trace = given_trace(headers.get(b"x-amzn-trace-id")) or front.ids.trace(front.clock.now())
        method, path = scope["method"], raw_path(scope)
        deployment = front.served.current
        match: Match | None = None
        failure: str | None = None
        try:
            match = _existing(deployment.router.match(method, path), method, path)
            target = _target(deployment, match)
            body = await read_body(headers, receive, MAX_BODY_BYTES)
            event = build_event(self._request(scope, match, path, body, (request_id, trace)))
            call = Call(request_id, trace, bare_context(trace), event)
            response = _response(await front.invoker.invoke(target, call), match)
        except CallError as error:
            failure = f"{type(error).__name__}: {error}"
            rest = match.route.payload_version == REST if match else not deployment.router.only_http_api
            response = _error_response(error, rest=rest)
        except ClientGoneError:
            return
        except Exception as error:
            failure = f"bug: {error!r}"
            front.log.exception("bug", request_id=request_id)
            response = _error_response(MalformedAnswerError(), rest=True)
        response.headers.append((b"x-amzn-requestid", request_id.encode("ascii")))
        response.headers.append((b"x-amzn-trace-id", trace.encode("ascii")))
        await respond(send, response.status, response.headers, response.body)
        if front.access.on:
            fields = {
                "door": "route",
                "request_id": request_id,
                "trace_id": trace,
                "method": method,
                "path": path,
                "function": match.route.function if match else None,
                "status": response.status,
            }
            if failure is not None:
                fields["error"] = failure
            front.access.write(fields, front.clock.monotonic() - started)

    def _request(
        self, scope: Scope, match: Match, path: str, body: bytes, ids: tuple[str, str]
    ) -> ProxyRequest:
        client, server = scope.get("client"), scope.get("server")
        return ProxyRequest(
            match=match,
            method=scope["method"],
            raw_path=path,
            query=scope["query_string"],
            headers=spelled_headers(scope),
            body=body,
            source_ip=client[0] if client else "",
            port=server[1] if server and server[1] else 80,
            scheme=scope["scheme"],
            protocol=f"HTTP/{scope['http_version']}",
            request_id=ids[0],
            trace=ids[1],
            now=self._front.clock.now(),
            identity=self._identity,
        )


def _existing(match: Match | None, method: str, path: str) -> Match:
    if match is None:
        raise UnknownRouteError(f"no route for {method} {path}")
    return match


def _target(deployment: Deployment, match: Match) -> Target:
    target = deployment.targets.get(match.route.function)
    if target is None:
        raise UnknownFunctionError(f"{match.route.key}: no function {match.route.function}")
    return target


def _response(answer: Answer, match: Match) -> ProxyResponse:
    if answer.timed_out:
        raise FunctionTimedOutError(answer.body[:300].decode("utf-8", "replace"))
    if answer.function_error is not None:
        raise FunctionFailedError(answer.body[:300].decode("utf-8", "replace"))
    return read_answer(answer.body, match.route.payload_version)


def _error_response(error: CallError, *, rest: bool) -> ProxyResponse:
    row = route_error(error)
    headers = [_JSON]
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if not rest:
        return ProxyResponse(row.http_status, headers, orjson.dumps({"message": row.http_message}))
    headers.append((b"x-amzn-errortype", row.error_type.encode("ascii")))
    return ProxyResponse(row.status, headers, orjson.dumps({"message": row.message}))
