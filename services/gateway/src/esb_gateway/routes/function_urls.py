"""Function URLs: one function behind a host name or a path of its own, events of payload 2.0.

    http://<function>.lambda-url.<anything>/…          the function's name in lower case
    http://<gateway>/function-urls/<function>/…        the same; the prefix is not part of the event's path

Any path, any method; who may call and which pages may read is the URL's own setting.
"""

from __future__ import annotations

from typing import Protocol
from urllib.parse import unquote

import orjson
from attrs import evolve, frozen
from starlette.types import Receive, Scope, Send

from esb_gateway.asgi import ClientGoneError, Header, raw_path, read_body, respond, spelled_headers
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
from esb_gateway.routes.api_routes import check_answer
from esb_gateway.routes.client import TrustedProxies, client_of
from esb_gateway.routes.cors import CorsRules, add_cors, preflight_of
from esb_gateway.routes.events import url_event
from esb_gateway.routes.proxy_request import NOBODY, ApiIdentity, Caller, ProxyRequest
from esb_gateway.routes.proxy_response import ProxyResponse, read_prelude, read_url_answer
from esb_gateway.routes.router import ANY, DEFAULT, HTTP_API, Match, Route, Router, UrlRoute
from esb_gateway.tracing import bare_context, given_trace
from esb_gateway.workers.invoker import Call, Target

PREFIX = "/function-urls/"
MAX_BODY_BYTES = 6 * 1024 * 1024
_RAW_PREFIX = PREFIX.encode()
_HOST_MARK = b".lambda-url."
_IAM, _STREAM = "AWS_IAM", "RESPONSE_STREAM"
_CHUNK_BYTES = 64 * 1024
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

    def signature(self, scope: Scope, body: bytes) -> Principal:
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


def is_function_url(scope: Scope) -> bool:
    """Whether a request is for a function URL: by its Host header or its path, as it was sent."""
    if scope["path"].startswith(PREFIX) and scope.get("raw_path", _RAW_PREFIX).startswith(_RAW_PREFIX):
        return True
    for name, value in scope["headers"]:
        if name == b"host":
            return _HOST_MARK in value
    return False


@frozen
class _Place:
    """Which URL a request is for, and the path its function sees."""

    name: str
    url: UrlRoute | None
    path: str


class FunctionUrls:
    """ASGI endpoint of all function URLs. Without a gate, those that want signatures refuse everybody."""

    def __init__(
        self,
        front: Front,
        identity: ApiIdentity,
        trusted: TrustedProxies | None = None,
        gate: UrlGate | None = None,
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
        place = _place_of(scope, headers, front.served.current.router)
        rules = place.url.cors if place.url else None
        failure: str | None = None
        try:
            if rules is not None and _is_preflight(scope, headers):
                response = preflight_of(rules, headers)
            else:
                response = await self._run(scope, receive, headers, place, (request_id, trace))
                if rules is not None:
                    add_cors(rules, headers.get(b"origin"), response.headers)
        except CallError as error:
            failure = f"{type(error).__name__}: {error}"
            response = _error_response(error, rules, headers)
        except ClientGoneError:
            return
        except Exception as error:  # the outermost point of a request: a bug costs this one only
            failure = f"bug: {error!r}"
            front.log.exception("bug", request_id=request_id)
            response = _error_response(InfrastructureError(), rules, headers)
        response.headers.append((b"x-amzn-requestid", request_id.encode("ascii")))
        response.headers.append((b"x-amzn-trace-id", trace.encode("ascii")))
        if failure is None and place.url is not None and place.url.settings.invoke_mode == _STREAM:
            await _respond_in_parts(send, response)
        else:
            await respond(send, response.status, response.headers, response.body)
        if front.access.on:
            fields: dict[str, object] = {
                "door": "url",
                "request_id": request_id,
                "trace_id": trace,
                "method": scope["method"],
                "path": place.path,
                "function": place.url.function if place.url else None,
                "status": response.status,
            }
            if failure is not None:
                fields["error"] = failure
            front.access.write(fields, front.clock.monotonic() - started)

    async def _run(
        self,
        scope: Scope,
        receive: Receive,
        headers: dict[bytes, bytes],
        place: _Place,
        ids: tuple[str, str],
    ) -> ProxyResponse:
        target, url = self._target(place)
        body = await read_body(headers, receive, MAX_BODY_BYTES)
        caller = self._caller(scope, body) if url.settings.auth_type == _IAM else NOBODY
        event = url_event(self._request(scope, place, (target.name, caller, body), ids))
        call = Call(ids[0], ids[1], bare_context(ids[1]), event)
        answer = await self._front.invoker.invoke(target, call)
        check_answer(answer)
        if url.settings.invoke_mode == _STREAM and _PRELUDE_END in answer.body:
            prelude, _, rest = answer.body.partition(_PRELUDE_END)
            return evolve(read_prelude(prelude), body=rest)
        return read_url_answer(answer.body)

    def _target(self, place: _Place) -> tuple[Target, UrlRoute]:
        url = place.url
        target = self._front.served.current.targets.get(url.function) if url else None
        if url is None or target is None:
            raise UnknownFunctionError(f"no function URL for {place.name}")
        return target, url

    def _caller(self, scope: Scope, body: bytes) -> Caller:
        if self._gate is None:
            raise AuthError("nobody is there to check signatures")
        principal = self._gate.signature(scope, body)
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

    def _request(
        self, scope: Scope, place: _Place, known: tuple[str, Caller, bytes], ids: tuple[str, str]
    ) -> ProxyRequest:
        function, caller, body = known
        return ProxyRequest(
            match=Match(Route(DEFAULT, ANY, function, "2.0", HTTP_API), {}),
            method=scope["method"],
            raw_path=place.path,
            query=scope["query_string"],
            headers=spelled_headers(scope),
            body=body,
            client=client_of(scope, self._trusted),
            protocol=f"HTTP/{scope['http_version']}",
            request_id=ids[0],
            trace=ids[1],
            now=self._front.clock.now(),
            identity=evolve(self._identity, api_id=function.lower()),
            caller=caller,
        )


def _place_of(scope: Scope, headers: dict[bytes, bytes], router: Router) -> _Place:
    path = raw_path(scope)
    host = headers.get(b"host", b"")
    if _HOST_MARK in host:
        label = host.partition(_HOST_MARK)[0].decode("latin-1").lower()
        return _Place(label, router.urls_by_label.get(label), path)
    encoded, slash, rest = path[len(PREFIX) :].partition("/")
    name = unquote(encoded)
    return _Place(name, router.urls.get(name), slash + rest or "/")


def _is_preflight(scope: Scope, headers: dict[bytes, bytes]) -> bool:
    return (
        scope["method"] == "OPTIONS" and b"origin" in headers and b"access-control-request-method" in headers
    )


def _error_response(error: CallError, rules: CorsRules | None, asked: dict[bytes, bytes]) -> ProxyResponse:
    row = next((_ERRORS[kind] for kind in type(error).__mro__ if kind in _ERRORS), None)
    if row is None:
        row = _ERRORS[InfrastructureError]
    headers = [_JSON]
    if isinstance(error, AuthError):
        headers.append((b"x-amzn-errortype", b"AccessDeniedException"))
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if rules is not None:
        add_cors(rules, asked.get(b"origin"), headers)
    return ProxyResponse(row.status, headers, orjson.dumps({"Message": row.message}))


async def _respond_in_parts(send: Send, response: ProxyResponse) -> None:
    """Send the body in chunks, its length unsaid."""
    await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
    for at in range(0, len(response.body), _CHUNK_BYTES):
        part = response.body[at : at + _CHUNK_BYTES]
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
