"""The routes of routing.yml: HTTP request ─▶ event ─▶ function ─▶ HTTP response, as API Gateway does it."""

from __future__ import annotations

from typing import Protocol

import orjson
from artifact_contract.config_types import RouteAuth
from attrs import define

from esb_gateway.errors import (
    CallError,
    ForbiddenError,
    MalformedAnswerError,
    UnknownFunctionError,
    UnknownRouteError,
    route_error,
)
from esb_gateway.front import Front
from esb_gateway.http_messages import Header, Request, Response
from esb_gateway.routes.client import TrustedProxies
from esb_gateway.routes.cors import CorsRules, add_cors, mock_of, preflight_of
from esb_gateway.routes.events import build_event
from esb_gateway.routes.proxy_door import ProxyDoor, Visit
from esb_gateway.routes.proxy_request import NOBODY, ApiIdentity, Caller
from esb_gateway.routes.proxy_response import read_answer
from esb_gateway.routes.router import HTTP_API, REST_API, Match, Surroundings
from esb_gateway.workers.invoker import Target

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


@define(eq=False)
class RouteVisit(Visit):
    """A request and the route it matched."""

    match: Match | None = None


class ApiRoutes(ProxyDoor[RouteVisit]):
    """Endpoint of every path that is not the gateway's own; without a gate, routes that ask refuse."""

    name = "route"
    bug = MalformedAnswerError

    def __init__(
        self,
        front: Front,
        identity: ApiIdentity,
        trusted: TrustedProxies | None = None,
        gate: RouteGate | None = None,
    ) -> None:
        super().__init__(front, identity, trusted)
        self._gate = gate

    def visit(self, request: Request, request_id: str, trace: str) -> RouteVisit:
        """Find the route."""
        deployment, path = self._front.served.current, request.raw_path
        match = deployment.router.match(request.method, path)
        function = match.route.function if match else None
        return RouteVisit(request, request_id, trace, deployment, path, function, match)

    async def answer(self, visit: RouteVisit) -> Response:
        """Run the route's function, unless the gateway answers a preflight itself."""
        request = visit.request
        preflight = _preflight(visit) if request.method == "OPTIONS" else None
        if preflight is not None:
            return preflight
        match, target = _found(visit)
        route = match.route
        caller = NOBODY if route.auth is None else await self._caller(route.auth, visit)
        body = await request.body(MAX_BODY_BYTES)
        event = build_event(self.proxied(visit, match, body, caller, self._identity))
        answer = await self.call(target, visit, event)
        response = read_answer(answer.body, route.payload_version, route.api_type)
        if route.cors is not None and route.api_type == HTTP_API:
            add_cors(route.cors, request.fields.get(b"origin"), response.headers)
        return response

    def refusal(self, visit: RouteVisit, error: CallError) -> Response:
        """Answer as the kind of API does that the route is of, or that is nearest."""
        row, around = route_error(error), _surroundings(visit)
        headers = [_JSON]
        if error.retry_after is not None:
            headers.append((b"retry-after", b"%d" % error.retry_after))
        if error.challenge is not None and not around.rest:
            headers.append((b"www-authenticate", error.challenge.encode("latin-1", "replace")))
        if around.rest:
            headers.append((b"x-amzn-errortype", row.error_type.encode("ascii")))
            return Response(row.status, headers, orjson.dumps({"message": row.message}))
        if around.cors is not None:
            add_cors(around.cors, visit.request.fields.get(b"origin"), headers)
        return Response(row.http_status, headers, orjson.dumps({"message": row.http_message}))

    async def _caller(self, auth: RouteAuth, visit: RouteVisit) -> Caller:
        """Who calls: asked after the route is known and before the body is read."""
        if self._gate is None:
            raise UnknownRouteError(f"{visit.path}: nobody is there to check who calls")
        names = [name for name, _ in visit.request.headers]
        if any(names.count(name) > 1 for name in _CREDENTIALS):
            raise ForbiddenError("credentials twice: the function could go by others than were looked at")
        return await self._gate.route(auth, visit.request.fields)


def _preflight(visit: RouteVisit) -> Response | None:
    """The answer to an OPTIONS request that the gateway gives itself, or None: it is a route's.

    HTTP APIs: where the route that is asked for has rules, whether or not it has an OPTIONS of its own.
    """
    headers, router = visit.request.fields, visit.deployment.router
    asked = headers.get(b"access-control-request-method")
    if asked and b"origin" in headers:
        wanted = router.match(asked.decode("latin-1"), visit.path)
        rules: CorsRules | None
        if wanted is None:
            rules = router.nearest(visit.path).cors
        else:
            rules = wanted.route.cors if wanted.route.api_type == HTTP_API else None
        if rules is not None:
            return preflight_of(rules, headers)
    match = visit.match
    if match is not None and match.route.preflight and match.route.cors is not None:
        return mock_of(match.route.cors, headers)
    return None


def _found(visit: RouteVisit) -> tuple[Match, Target]:
    match = visit.match
    if match is None:
        raise UnknownRouteError(f"no route for {visit.request.method} {visit.path}")
    target = visit.deployment.targets.get(match.route.function)
    if target is None:
        raise UnknownFunctionError(f"{match.route.key}: no function {match.route.function}")
    return match, target


def _surroundings(visit: RouteVisit) -> Surroundings:
    """Which kind of API answers an error, and who may read it."""
    if visit.match is None:
        return visit.deployment.router.nearest(visit.path)
    route = visit.match.route
    rest = route.api_type == REST_API
    return Surroundings(rest, None if rest else route.cors)
