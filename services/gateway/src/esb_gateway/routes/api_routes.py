"""The routes of routing.yml: HTTP request ─▶ event ─▶ function ─▶ HTTP response, as API Gateway does it."""

from __future__ import annotations

from typing import Protocol

import orjson
from artifact_contract.config_types import RouteAuth
from starlette.types import Receive, Scope, Send

from esb_gateway.asgi import ClientGoneError, Header, raw_path, read_body, respond, spelled_headers
from esb_gateway.deployment import Deployment
from esb_gateway.errors import (
    CallError,
    ForbiddenError,
    FunctionFailedError,
    FunctionTimedOutError,
    MalformedAnswerError,
    UnknownFunctionError,
    UnknownRouteError,
    route_error,
)
from esb_gateway.front import Front
from esb_gateway.routes.client import TrustedProxies, client_of
from esb_gateway.routes.cors import CorsRules, add_cors, mock_of, preflight_of
from esb_gateway.routes.events import build_event
from esb_gateway.routes.proxy_request import NOBODY, ApiIdentity, Caller, ProxyRequest
from esb_gateway.routes.proxy_response import ProxyResponse, read_answer
from esb_gateway.routes.router import HTTP_API, REST_API, Match, Router, Surroundings
from esb_gateway.tracing import bare_context, given_trace
from esb_gateway.workers.invoker import Answer, Call, Target

MAX_BODY_BYTES = 10 * 1024 * 1024
_CREDENTIALS = (b"authorization", b"x-api-key")
_JSON: Header = (b"content-type", b"application/json")


class RouteGate(Protocol):
    """Says who calls a route that asks."""

    async def route(self, auth: RouteAuth, headers: dict[bytes, bytes]) -> Caller:
        """Return the caller.

        Raises:
            CallError: a refusal, with a row in the table of route errors.
        """
        ...


class ApiRoutes:
    """ASGI endpoint of every path that is not the gateway's own; without a gate, routes that ask refuse."""

    def __init__(
        self,
        front: Front,
        identity: ApiIdentity,
        trusted: TrustedProxies | None = None,
        gate: RouteGate | None = None,
    ) -> None:
        self._front = front
        self._identity = identity
        self._trusted = trusted or TrustedProxies()
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and log it."""
        front = self._front
        started = front.clock.monotonic()
        request_id = front.ids.request_id()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        trace = given_trace(headers.get(b"x-amzn-trace-id")) or front.ids.trace(front.clock.now())
        method, path = scope["method"], raw_path(scope)
        deployment = front.served.current
        match = deployment.router.match(method, path)
        failure: str | None = None
        try:
            response = _preflight(deployment.router, match, path, headers) if method == "OPTIONS" else None
            if response is None:
                match = _existing(match, method, path)
                target = _target(deployment, match)
                caller = (
                    NOBODY
                    if match.route.auth is None
                    else await self._caller(match, scope["headers"], headers)
                )
                body = await read_body(headers, receive, MAX_BODY_BYTES)
                known = (match, caller, body)
                event = build_event(self._request(scope, path, known, (request_id, trace)))
                call = Call(request_id, trace, bare_context(trace), event)
                response = _response(await front.invoker.invoke(target, call), match)
                rules = match.route.cors
                if rules is not None and match.route.api_type == HTTP_API:
                    add_cors(rules, headers.get(b"origin"), response.headers)
        except CallError as error:
            failure = f"{type(error).__name__}: {error}"
            response = _error_response(error, _surroundings(deployment.router, match, path), headers)
        except ClientGoneError:
            return
        except Exception as error:
            failure = f"bug: {error!r}"
            front.log.exception("bug", request_id=request_id)
            around = _surroundings(deployment.router, match, path)
            response = _error_response(MalformedAnswerError(), around, headers)
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

    async def _caller(self, match: Match, sent: list[Header], headers: dict[bytes, bytes]) -> Caller:
        """Who calls: asked after the route is known and before the body is read."""
        auth = match.route.auth
        if auth is None:
            return NOBODY
        if self._gate is None:
            raise UnknownRouteError(f"{match.route.key}: nobody is there to check who calls")
        names = [name for name, _ in sent]
        if any(names.count(name) > 1 for name in _CREDENTIALS):
            raise ForbiddenError("credentials twice: the function could go by others than were looked at")
        return await self._gate.route(auth, headers)

    def _request(
        self, scope: Scope, path: str, known: tuple[Match, Caller, bytes], ids: tuple[str, str]
    ) -> ProxyRequest:
        match, caller, body = known
        return ProxyRequest(
            match=match,
            method=scope["method"],
            raw_path=path,
            query=scope["query_string"],
            headers=spelled_headers(scope),
            body=body,
            client=client_of(scope, self._trusted),
            protocol=f"HTTP/{scope['http_version']}",
            request_id=ids[0],
            trace=ids[1],
            now=self._front.clock.now(),
            identity=self._identity,
            caller=caller,
        )


def _preflight(
    router: Router, match: Match | None, path: str, headers: dict[bytes, bytes]
) -> ProxyResponse | None:
    """The answer to an OPTIONS request that the gateway gives itself, or None: it is a route's.

    HTTP APIs: where the route that is asked for has rules, whether or not it has an OPTIONS of its own.
    """
    asked = headers.get(b"access-control-request-method")
    if asked and b"origin" in headers:
        wanted = router.match(asked.decode("latin-1"), path)
        rules: CorsRules | None
        if wanted is None:
            rules = router.nearest(path).cors
        else:
            rules = wanted.route.cors if wanted.route.api_type == HTTP_API else None
        if rules is not None:
            return preflight_of(rules, headers)
    if match is not None and match.route.preflight and match.route.cors is not None:
        return mock_of(match.route.cors, headers)
    return None


def _existing(match: Match | None, method: str, path: str) -> Match:
    if match is None:
        raise UnknownRouteError(f"no route for {method} {path}")
    return match


def _target(deployment: Deployment, match: Match) -> Target:
    target = deployment.targets.get(match.route.function)
    if target is None:
        raise UnknownFunctionError(f"{match.route.key}: no function {match.route.function}")
    return target


def _surroundings(router: Router, match: Match | None, path: str) -> Surroundings:
    """Which kind of API answers an error, and who may read it."""
    if match is None:
        return router.nearest(path)
    rest = match.route.api_type == REST_API
    return Surroundings(rest, None if rest else match.route.cors)


def _response(answer: Answer, match: Match) -> ProxyResponse:
    check_answer(answer)
    return read_answer(answer.body, match.route.payload_version, match.route.api_type)


def check_answer(answer: Answer) -> None:
    """Raise what a failed call is for a route: FunctionTimedOutError or FunctionFailedError."""
    if answer.timed_out:
        raise FunctionTimedOutError(answer.body[:300].decode("utf-8", "replace"))
    if answer.function_error is not None:
        raise FunctionFailedError(answer.body[:300].decode("utf-8", "replace"))


def _error_response(error: CallError, around: Surroundings, asked: dict[bytes, bytes]) -> ProxyResponse:
    row = route_error(error)
    headers = [_JSON]
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if error.challenge is not None and not around.rest:
        headers.append((b"www-authenticate", error.challenge.encode("latin-1", "replace")))
    if around.rest:
        headers.append((b"x-amzn-errortype", row.error_type.encode("ascii")))
        return ProxyResponse(row.status, headers, orjson.dumps({"message": row.message}))
    if around.cors is not None:
        add_cors(around.cors, asked.get(b"origin"), headers)
    return ProxyResponse(row.http_status, headers, orjson.dumps({"message": row.http_message}))
