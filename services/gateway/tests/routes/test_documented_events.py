"""The requests of AWS's documentation, and the events that it prints for them.

Left out of what is printed: headers that CloudFront adds, and the certificate of a mutual TLS client. Ids and
addresses are the box's. Function URLs have theirs in test_function_urls.py.
"""

import json

from esb_gateway.routes.client import Client
from esb_gateway.routes.events import build_event
from esb_gateway.routes.proxy_request import ApiIdentity, Caller, ProxyRequest, resource_id
from esb_gateway.routes.router import Match, Route

IDENTITY = ApiIdentity(account_id="123456789012", api_id="gy415nuibc")


def event(route: Route, parameters: dict[str, str], **more: object) -> dict[str, object]:
    known = {
        "query": b"",
        "headers": [],
        "body": b"",
        "client": Client("192.168.196.186", "192.168.196.186", "https", 443),
        "protocol": "HTTP/1.1",
        "request_id": "id",
        "trace": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
        "now": 1583349317.135,
        "identity": IDENTITY,
        **more,
    }
    return json.loads(build_event(ProxyRequest(match=Match(route, parameters), **known)))


FORWARDED = {
    "X-Amzn-Trace-Id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
    "X-Forwarded-For": "192.168.196.186",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Proto": "https",
}
SENT = [
    (b"Accept", b"*/*"),
    (b"Content-Type", b"application/json"),
    (b"headerName", b"headerValue"),
    (b"Host", b"gy415nuibc.execute-api.us-east-1.amazonaws.com"),
    (b"User-Agent", b"PostmanRuntime/2.4.5"),
]
NOBODY = dict.fromkeys(
    (
        *("accessKey", "accountId", "apiKey", "caller", "cognitoAuthenticationProvider", "principalOrgId"),
        *("cognitoAuthenticationType", "cognitoIdentityId", "cognitoIdentityPoolId", "user", "userArn"),
    )
)


def test_input_format_of_a_lambda_function_for_proxy_integration():
    sent = {name.decode(): value.decode() for name, value in SENT} | FORWARDED
    assert event(
        Route("/{proxy+}", "ANY", "f", stage="testStage"),
        {"proxy": "hello/world"},
        method="POST",
        raw_path="/hello/world",
        query=b"name=me&multivalueName=you&multivalueName=me",
        headers=SENT,
        body=b'{\r\n\t"a": 1\r\n}',
    ) == {
        "resource": "/{proxy+}",
        "path": "/hello/world",
        "httpMethod": "POST",
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": {"name": "me", "multivalueName": "me"},
        "multiValueQueryStringParameters": {"name": ["me"], "multivalueName": ["you", "me"]},
        "pathParameters": {"proxy": "hello/world"},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "gy415nuibc",
            "domainName": "gy415nuibc.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "gy415nuibc",
            "extendedRequestId": "id",
            "httpMethod": "POST",
            "identity": NOBODY | {"sourceIp": "192.168.196.186", "userAgent": "PostmanRuntime/2.4.5"},
            "path": "/testStage/hello/world",
            "protocol": "HTTP/1.1",
            "requestId": "id",
            "requestTime": "04/Mar/2020:19:15:17 +0000",
            "requestTimeEpoch": 1583349317135,
            "resourceId": resource_id("/{proxy+}"),
            "resourcePath": "/{proxy+}",
            "stage": "testStage",
        },
        "body": '{\r\n\t"a": 1\r\n}',
        "isBase64Encoded": False,
    }


def test_payload_format_1_0_of_an_http_api():
    assert event(
        Route("/my/path", "GET", "f", "1.0", "http"),
        {},
        method="GET",
        raw_path="/my/path",
        query=b"parameter1=value1&parameter1=value2&parameter2=value",
        headers=[
            (b"Header1", b"value1"),
            (b"Header2", b"value1"),
            (b"Header2", b"value2"),
            (b"Host", b"id.execute-api.us-east-1.amazonaws.com"),
            (b"User-Agent", b"user-agent"),
        ],
        body=b"Hello from Lambda!",
    ) == {
        "version": "1.0",
        "resource": "/my/path",
        "path": "/my/path",
        "httpMethod": "GET",
        "headers": {
            "header1": "value1",
            "header2": "value2",
            "host": "id.execute-api.us-east-1.amazonaws.com",
            "user-agent": "user-agent",
            **{name.lower(): value for name, value in FORWARDED.items()},
        },
        "multiValueHeaders": {
            "header1": ["value1"],
            "header2": ["value1", "value2"],
            "host": ["id.execute-api.us-east-1.amazonaws.com"],
            "user-agent": ["user-agent"],
            **{name.lower(): [value] for name, value in FORWARDED.items()},
        },
        "queryStringParameters": {"parameter1": "value2", "parameter2": "value"},
        "multiValueQueryStringParameters": {"parameter1": ["value1", "value2"], "parameter2": ["value"]},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "gy415nuibc",
            "authorizer": {"claims": None, "scopes": None},
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "id",
            "extendedRequestId": "id",
            "httpMethod": "GET",
            "identity": NOBODY | {"sourceIp": "192.168.196.186", "userAgent": "user-agent"},
            "path": "/my/path",
            "protocol": "HTTP/1.1",
            "requestId": "id",
            "requestTime": "04/Mar/2020:19:15:17 +0000",
            "requestTimeEpoch": 1583349317135,
            "resourceId": None,
            "resourcePath": "/my/path",
            "stage": "$default",
        },
        "pathParameters": None,
        "stageVariables": None,
        "body": "Hello from Lambda!",
        "isBase64Encoded": False,
    }


def test_payload_format_2_0_of_an_http_api():
    assert event(
        Route("$default", "ANY", "f", "2.0", "http"),
        {"parameter1": "value1"},
        method="POST",
        raw_path="/my/path",
        query=b"parameter1=value1&parameter1=value2&parameter2=value",
        headers=[
            (b"Header1", b"value1"),
            (b"Header2", b"value1"),
            (b"Header2", b"value2"),
            (b"Cookie", b"cookie1; cookie2"),
            (b"Host", b"id.execute-api.us-east-1.amazonaws.com"),
            (b"User-Agent", b"agent"),
        ],
        body=b"Hello from Lambda",
        caller=Caller(claims={"claim1": "value1", "claim2": ["a", "b"]}, scopes=("scope1", "scope2")),
    ) == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/my/path",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=value",
        "cookies": ["cookie1", "cookie2"],
        "headers": {
            "header1": "value1",
            "header2": "value1,value2",
            "host": "id.execute-api.us-east-1.amazonaws.com",
            "user-agent": "agent",
            **{name.lower(): value for name, value in FORWARDED.items()},
        },
        "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "value"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "gy415nuibc",
            "authorizer": {
                "jwt": {"claims": {"claim1": "value1", "claim2": "[a b]"}, "scopes": ["scope1", "scope2"]}
            },
            "domainName": "id.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": "id",
            "http": {
                "method": "POST",
                "path": "/my/path",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.168.196.186",
                "userAgent": "agent",
            },
            "requestId": "id",
            "routeKey": "$default",
            "stage": "$default",
            "time": "04/Mar/2020:19:15:17 +0000",
            "timeEpoch": 1583349317135,
        },
        "body": "Hello from Lambda",
        "pathParameters": {"parameter1": "value1"},
        "isBase64Encoded": False,
    }
