"""The events that API Gateway's proxy integrations give a function: payload 1.0 (REST) and 2.0 (HTTP API).

Field for field as AWS documents them; what a box has no notion of (identity pools, client certificates) is
null or absent. `path` and `rawPath` are as sent; parameters and query strings are decoded.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote_plus

import orjson

from esb_gateway.routes.proxy_request import (
    ApiIdentity,
    HeaderTexts,
    ProxyRequest,
    domain,
    event_body,
    header_texts,
    request_time,
    resource_id,
)
from esb_gateway.routes.router import REST

_NOBODY = {
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


def build_event(request: ProxyRequest) -> bytes:
    """Return the event of the route's payload version as JSON."""
    if request.match.route.payload_version == REST:
        return orjson.dumps(rest_event(request))
    return orjson.dumps(http_event(request))


def rest_event(request: ProxyRequest) -> dict[str, object]:
    """Payload 1.0: single-value maps hold the last value, multi-value maps all; empty maps are null."""
    texts = header_texts(request)
    headers, multi_headers = _rest_headers(texts)
    query: dict[str, str] | None = None
    multi_query: dict[str, list[str]] | None = None
    if request.query:
        query, multi_query = _rest_query(_pairs(request.query))
    body, is_base64 = None, False
    if request.body:
        body, is_base64 = event_body(request.body, texts.content_type, forms_are_text=True)
    return {
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


def _rest_context(request: ProxyRequest, texts: HeaderTexts) -> dict[str, object]:
    name, prefix = domain(texts.host)
    return {
        **_rest_constants(request.identity, request.match.route.path),
        "domainName": name,
        "domainPrefix": prefix,
        "extendedRequestId": request.request_id,
        "httpMethod": request.method,
        "identity": {**_NOBODY, "sourceIp": request.source_ip, "userAgent": texts.user_agent or None},
        "path": request.raw_path,
        "protocol": request.protocol,
        "requestId": request.request_id,
        "requestTime": request_time(int(request.now)),
        "requestTimeEpoch": int(request.now * 1000),
    }


@lru_cache(maxsize=4096)
def _rest_constants(identity: ApiIdentity, path: str) -> dict[str, object]:
    return {
        "accountId": identity.account_id,
        "apiId": identity.api_id,
        "resourceId": resource_id(path),
        "resourcePath": path,
        "stage": identity.rest_stage,
    }


def _rest_headers(texts: HeaderTexts) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Names that differ only in case are one header, spelled as it came first."""
    single: dict[str, str] = {}
    multi: dict[str, list[str]] = {}
    spelling: dict[str, str] = {}
    for name, lowered, value in texts.fields:
        spelled = spelling.setdefault(lowered, name)
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
        "rawPath": request.raw_path,
        "rawQueryString": request.query.decode("latin-1"),
    }
    if cookies:
        event["cookies"] = cookies
    event["headers"] = _joined(
        [(lowered, value) for _, lowered, value in texts.fields if lowered != "cookie"]
    )
    if request.query:
        event["queryStringParameters"] = _joined(_pairs(request.query))
    event["requestContext"] = _http_context(request, texts)
    if request.match.parameters:
        event["pathParameters"] = request.match.parameters
    is_base64 = False
    if request.body:
        event["body"], is_base64 = event_body(request.body, texts.content_type, forms_are_text=False)
    event["isBase64Encoded"] = is_base64
    return event


def _http_context(request: ProxyRequest, texts: HeaderTexts) -> dict[str, object]:
    name, prefix = domain(texts.host)
    identity = request.identity
    return {
        "accountId": identity.account_id,
        "apiId": identity.api_id,
        "domainName": name,
        "domainPrefix": prefix,
        "http": {
            "method": request.method,
            "path": request.raw_path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": texts.user_agent,
        },
        "requestId": request.request_id,
        "routeKey": request.match.route.key,
        "stage": identity.http_stage,
        "time": request_time(int(request.now)),
        "timeEpoch": int(request.now * 1000),
    }


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
