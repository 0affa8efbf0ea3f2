"""The events that a function gets: payload 1.0 (REST and HTTP APIs) and 2.0 (HTTP APIs, function URLs).

Field for field as AWS documents them; what a box has no notion of (identity pools, client certificates) is
null or absent. `path` and `rawPath` are as sent; parameters and query strings are decoded. The box's URLs
have no stage in them, as behind a custom domain name; the paths of `requestContext`, and `rawPath`, have it
unless it is `$default`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote_plus

import orjson

from esb_gateway.routes.proxy_request import (
    NOBODY,
    ApiIdentity,
    Caller,
    HeaderTexts,
    ProxyRequest,
    domain,
    event_body,
    header_texts,
    request_time,
    resource_id,
)
from esb_gateway.routes.router import DEFAULT, FORMAT_1, HTTP_API, Route

_IDENTITY = {
    "accessKey": None,
    "accountId": None,
    "caller": None,
    "cognitoAuthenticationProvider": None,
    "cognitoAuthenticationType": None,
    "cognitoIdentityId": None,
    "cognitoIdentityPoolId": None,
    "principalOrgId": None,
    "user": None,
    "userArn": None,
}
_KEPT = 256  # characters of what a client makes up that may be remembered


def build_event(request: ProxyRequest) -> bytes:
    """Return the event of the route's payload version as JSON."""
    if request.match.route.payload_version == FORMAT_1:
        return orjson.dumps(rest_event(request))
    return orjson.dumps(http_event(request))


def rest_event(request: ProxyRequest) -> dict[str, object]:
    """Payload 1.0: single-value maps hold the last value, multi-value maps all; empty maps are null.

    HTTP APIs say so (`version`) and give header names in lower case, REST APIs as they were sent.
    """
    texts = header_texts(request)
    is_http = request.match.route.api_type == HTTP_API
    headers, multi_headers = _rest_headers(texts, lowercase=is_http)
    query: dict[str, str] | None = None
    multi_query: dict[str, list[str]] | None = None
    if request.query:
        query, multi_query = _rest_query(_pairs(request.query))
    body, is_base64 = None, False
    if request.body:
        body, is_base64 = event_body(request.body, texts.content_type, forms_are_text=True)
    event: dict[str, object] = {
        "resource": request.match.route.path,
        "path": request.raw_path,
        "httpMethod": request.method,
        "headers": headers,
        "multiValueHeaders": multi_headers,
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": multi_query or None,
        "pathParameters": request.match.parameters or None,
        "stageVariables": None,
        "requestContext": _rest_context(request, texts),
        "body": body,
        "isBase64Encoded": is_base64,
    }
    return {"version": "1.0", **event} if is_http else event


def _rest_context(request: ProxyRequest, texts: HeaderTexts) -> dict[str, object]:
    caller, agent, route = request.caller, texts.user_agent, request.match.route
    lasting = _lasting if len(agent) + len(texts.host) < _KEPT else _make_lasting
    stage, known = lasting(
        request.identity,
        route,
        request.method,
        request.protocol,
        texts.host,
        request.client.source_ip,
        agent,
    )
    context = known.copy()
    context["extendedRequestId"] = context["requestId"] = request.request_id
    context["path"] = _staged(stage, request.raw_path)
    context["requestTime"] = request_time(int(request.now))
    context["requestTimeEpoch"] = int(request.now * 1000)
    if caller.api_key is not None or caller.api_key_id is not None:
        context["identity"] = _identity(request.client.source_ip, agent, caller)
    claims = None if caller.claims is None else claim_texts(caller.claims)
    if route.api_type == HTTP_API:
        context["authorizer"] = {"claims": claims, "scopes": _scopes(caller)}
    elif claims is not None:
        context["authorizer"] = {"claims": claims}
    return context


def _make_lasting(  # noqa: PLR0917 - by name, or as one value, asking the cache takes twice as long
    identity: ApiIdentity, route: Route, method: str, protocol: str, host: str, source_ip: str, agent: str
) -> tuple[str, dict[str, object]]:
    """The stage, and the context of what one client asks of one route, with places for what differs."""
    is_http = route.api_type == HTTP_API
    stage = route.stage or (identity.http_stage if is_http else identity.rest_stage)
    name, prefix = domain(host)
    return stage, {
        "accountId": identity.account_id,
        "apiId": identity.api_id,
        "domainName": name,
        "domainPrefix": prefix,
        "extendedRequestId": None,
        "httpMethod": method,
        "identity": _identity(source_ip, agent, NOBODY),
        "path": None,
        "protocol": protocol,
        "requestId": None,
        "requestTime": None,
        "requestTimeEpoch": None,
        "resourceId": None if is_http else resource_id(route.path),
        "resourcePath": route.path,
        "stage": stage,
    }


_lasting = lru_cache(maxsize=1024)(_make_lasting)


def _identity(source_ip: str, agent: str, caller: Caller) -> dict[str, object]:
    identity: dict[str, object] = {
        **_IDENTITY,
        "apiKey": caller.api_key,
        "sourceIp": source_ip,
        "userAgent": agent or None,
    }
    if caller.api_key_id is not None:
        identity["apiKeyId"] = caller.api_key_id
    return identity


def _staged(stage: str, path: str) -> str:
    return path if stage == DEFAULT else f"/{stage}{path}"


def claim_texts(claims: Mapping[str, object]) -> dict[str, str]:
    """A token's claims as events carry them: every value a text, lists as `[a b]`."""
    return {name: _claim_text(value) for name, value in claims.items()}


def _claim_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{' '.join(_claim_text(item) for item in value)}]"
    return orjson.dumps(value).decode()


def _scopes(caller: Caller) -> list[str] | None:
    return list(caller.scopes) if caller.scopes else None


def _rest_headers(texts: HeaderTexts, *, lowercase: bool) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Names that differ only in case are one header, spelled as it came first."""
    if len({lowered for _, lowered, _ in texts.fields}) == len(texts.fields):
        pairs = {lowered if lowercase else name: value for name, lowered, value in texts.fields}
        return pairs, {name: [value] for name, value in pairs.items()}
    single: dict[str, str] = {}
    multi: dict[str, list[str]] = {}
    spelling: dict[str, str] = {}
    for name, lowered, value in texts.fields:
        spelled = spelling.setdefault(lowered, lowered if lowercase else name)
        if spelled in single:
            multi[spelled].append(value)
        else:
            multi[spelled] = [value]
        single[spelled] = value
    return single, multi


def _rest_query(pairs: list[tuple[str, str]]) -> tuple[dict[str, str], dict[str, list[str]]]:
    multi: dict[str, list[str]] = {}
    for name, value in pairs:
        multi.setdefault(name, []).append(value)
    return dict(pairs), multi


def http_event(request: ProxyRequest) -> dict[str, object]:
    """Payload 2.0: what is repeated is joined with commas, cookies are apart, empty fields left out."""
    texts = header_texts(request)
    stage = request.match.route.stage or request.identity.http_stage
    path = _staged(stage, request.raw_path)
    cookies = [
        cookie
        for _, lowered, value in texts.fields
        if lowered == "cookie"
        for cookie in (part.strip() for part in value.split(";"))
        if cookie
    ]
    event: dict[str, object] = {
        "version": "2.0",
        "routeKey": request.match.route.key,
        "rawPath": path,
        "rawQueryString": request.query.decode("latin-1"),
    }
    if cookies:
        event["cookies"] = cookies
    event["headers"] = _joined(
        [(lowered, value) for _, lowered, value in texts.fields if lowered != "cookie"]
    )
    if request.query:
        event["queryStringParameters"] = _joined(_pairs(request.query))
    event["requestContext"] = _http_context(request, texts, stage, path)
    if request.match.parameters:
        event["pathParameters"] = request.match.parameters
    is_base64 = False
    if request.body:
        event["body"], is_base64 = event_body(request.body, texts.content_type, forms_are_text=False)
    event["isBase64Encoded"] = is_base64
    return event


def _http_context(request: ProxyRequest, texts: HeaderTexts, stage: str, path: str) -> dict[str, object]:
    name, prefix = domain(texts.host)
    identity, caller = request.identity, request.caller
    context: dict[str, object] = {"accountId": identity.account_id, "apiId": identity.api_id}
    if caller.claims is not None:
        context["authorizer"] = {"jwt": {"claims": claim_texts(caller.claims), "scopes": _scopes(caller)}}
    elif caller.iam is not None:
        context["authorizer"] = {"iam": caller.iam}
    context |= {
        "domainName": name,
        "domainPrefix": prefix,
        "http": {
            "method": request.method,
            "path": path,
            "protocol": request.protocol,
            "sourceIp": request.client.source_ip,
            "userAgent": texts.user_agent,
        },
        "requestId": request.request_id,
        "routeKey": request.match.route.key,
        "stage": stage,
        "time": request_time(int(request.now)),
        "timeEpoch": int(request.now * 1000),
    }
    return context


def url_event(request: ProxyRequest) -> bytes:
    """The event of a function URL: payload 2.0 with the fields that URLs don't use set to null, as JSON."""
    event = http_event(request)
    event["pathParameters"] = event["stageVariables"] = None
    context = {"authentication": None, "authorizer": None}
    context.update(event["requestContext"])  # type: ignore[call-overload] # an event's values are objects to mypy
    event["requestContext"] = context
    return orjson.dumps(event)


def _pairs(query: bytes) -> list[tuple[str, str]]:
    """The query's parameters in order, decoded; one without `=` has an empty value."""
    pairs = []
    for part in query.decode("latin-1").split("&"):
        if part:
            name, _, value = part.partition("=")
            if "%" in part or "+" in part:
                name, value = unquote_plus(name), unquote_plus(value)
            pairs.append((name, value))
    return pairs


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
