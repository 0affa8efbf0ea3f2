"""Function URLs: one function behind a host name or a path of its own, events of payload 2.0.

    http://<function>.lambda-url.<anything>/…          the function's name in lower case
    http://<gateway>/function-urls/<function>/…        the same; the prefix is not part of the event's path

Any path, any method; who may call and which pages may read is the URL's own setting.
"""

from __future__ import annotations

from typing import Protocol
from urllib.parse import unquote

import orjson
from attrs import define, evolve, frozen

from esb_gateway.auth.errors import AuthError
from esb_gateway.errors import (
    CallError,
    FunctionFailedError,
    FunctionTimedOutError,
    InfrastructureError,
    MalformedAnswerError,
    PayloadTooLargeError,
    ThrottledError,
    UnknownFunctionError,
)
from esb_gateway.front import Front
from esb_gateway.http_messages import Header, Request, Response
from esb_gateway.routes.client import TrustedProxies
from esb_gateway.routes.cors import add_cors, preflight_of
from esb_gateway.routes.events import url_event
from esb_gateway.routes.proxy_door import ProxyDoor, Visit
from esb_gateway.routes.proxy_request import NOBODY, ApiIdentity, Caller
from esb_gateway.routes.proxy_response import read_prelude, read_url_answer
from esb_gateway.routes.router import ANY, DEFAULT, HTTP_API, Match, Route, Router, UrlRoute
from esb_gateway.workers.invoker import Target

PREFIX = "/function-urls/"
MAX_BODY_BYTES = 6 * 1024 * 1024
_HOST_MARK = b".lambda-url."
_IAM, _STREAM = "AWS_IAM", "RESPONSE_STREAM"
_PRELUDE_END = b"\0" * 8
_JSON: Header = (b"content-type", b"application/json")


class Principal(Protocol):
    """Who signed a request."""

    @property
    def name(self) -> str:
        """The name of the key pair."""
        ...

    @property
    def access_key_id(self) -> str:
        """The id of the key pair."""
        ...


class UrlGate(Protocol):
    """Says who signed a request."""

    def signature(self, request: Request, body: bytes) -> Principal:
        """Return who signed it.

        Raises:
            AuthError: nobody, or not this request.
        """
        ...


@frozen
class _UrlError:
    status: int
    message: str


_ERRORS: dict[type[CallError], _UrlError] = {
    AuthError: _UrlError(403, "Forbidden"),
    UnknownFunctionError: _UrlError(404, "Not Found"),
    PayloadTooLargeError: _UrlError(413, "Request Entity Too Large"),
    ThrottledError: _UrlError(429, "Too Many Requests"),
    FunctionFailedError: _UrlError(502, "Internal Server Error"),
    MalformedAnswerError: _UrlError(502, "Internal Server Error"),
    InfrastructureError: _UrlError(503, "Service Unavailable"),
    FunctionTimedOutError: _UrlError(504, "Gateway Timeout"),
}


def is_function_url(request: Request) -> bool:
    """Whether a request is for a function URL: by its Host header or its path, as it was sent."""
    return request.raw_path.startswith(PREFIX) or request.fields.get(b"host", b"").find(_HOST_MARK) >= 0


@define(eq=False)
class UrlVisit(Visit):
    """A request and the URL it is for, as the caller named it."""

    url_name: str = ""
    url: UrlRoute | None = None


class FunctionUrls(ProxyDoor[UrlVisit]):
    """Endpoint of all function URLs. Without a gate, those that want signatures refuse everybody."""

    name = "url"

    def __init__(
        self,
        front: Front,
        identity: ApiIdentity,
        trusted: TrustedProxies | None = None,
        gate: UrlGate | None = None,
    ) -> None:
        super().__init__(front, identity, trusted)
        self._gate = gate

    def visit(self, request: Request, request_id: str, trace: str) -> UrlVisit:
        """Find the URL."""
        deployment = self._front.served.current
        name, url, path = _place_of(request, deployment.router)
        function = url.function if url else None
        return UrlVisit(request, request_id, trace, deployment, path, function, name, url)

    async def answer(self, visit: UrlVisit) -> Response:
        """Run the URL's function, unless the gateway answers a preflight itself."""
        rules = visit.url.cors if visit.url else None
        if rules is not None and _is_preflight(visit.request):
            return preflight_of(rules, visit.request.fields)
        response = await self._run(visit)
        if rules is not None:
            add_cors(rules, visit.request.fields.get(b"origin"), response.headers)
        return response

    def refusal(self, visit: UrlVisit, error: CallError) -> Response:
        """Answer as function URLs do."""
        row = next((_ERRORS[kind] for kind in type(error).__mro__ if kind in _ERRORS), None)
        if row is None:
            row = _ERRORS[InfrastructureError]
        headers = [_JSON]
        if isinstance(error, AuthError):
            headers.append((b"x-amzn-errortype", b"AccessDeniedException"))
        if error.retry_after is not None:
            headers.append((b"retry-after", b"%d" % error.retry_after))
        if visit.url is not None and visit.url.cors is not None:
            add_cors(visit.url.cors, visit.request.fields.get(b"origin"), headers)
        return Response(row.status, headers, orjson.dumps({"Message": row.message}))

    async def _run(self, visit: UrlVisit) -> Response:
        target, url = _target(visit)
        body = await visit.request.body(MAX_BODY_BYTES)
        caller = self._caller(visit.request, body) if url.settings.auth_type == _IAM else NOBODY
        match = Match(Route(DEFAULT, ANY, target.name, "2.0", HTTP_API), {})
        identity = evolve(self._identity, api_id=target.name.lower())
        answer = await self.call(target, visit, url_event(self.proxied(visit, match, body, caller, identity)))
        streams = url.settings.invoke_mode == _STREAM
        if streams and _PRELUDE_END in answer.body:
            prelude, _, rest = answer.body.partition(_PRELUDE_END)
            return evolve(read_prelude(prelude), body=rest, in_parts=True)
        response = read_url_answer(answer.body)
        response.in_parts = streams
        return response

    def _caller(self, request: Request, body: bytes) -> Caller:
        if self._gate is None:
            raise AuthError("nobody is there to check signatures")
        principal = self._gate.signature(request, body)
        account = self._identity.account_id
        return Caller(
            iam={
                "accessKey": principal.access_key_id,
                "accountId": account,
                "callerId": principal.name,
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": f"arn:aws:iam::{account}:user/{principal.name}",
                "userId": principal.name,
            }
        )


def _target(visit: UrlVisit) -> tuple[Target, UrlRoute]:
    url = visit.url
    target = visit.deployment.targets.get(url.function) if url else None
    if url is None or target is None:
        raise UnknownFunctionError(f"no function URL for {visit.url_name}")
    return target, url


def _place_of(request: Request, router: Router) -> tuple[str, UrlRoute | None, str]:
    """The URL's name, the URL, and the path its function sees."""
    path, host = request.raw_path, request.fields.get(b"host", b"")
    if _HOST_MARK in host:
        label = host.partition(_HOST_MARK)[0].decode("latin-1").lower()
        return label, router.urls_by_label.get(label), path
    encoded, slash, rest = path[len(PREFIX) :].partition("/")
    name = unquote(encoded)
    return name, router.urls.get(name), slash + rest or "/"


def _is_preflight(request: Request) -> bool:
    fields = request.fields
    return request.method == "OPTIONS" and b"origin" in fields and b"access-control-request-method" in fields
