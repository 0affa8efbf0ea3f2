import json

from attrs import evolve
from esb_gateway.routes.client import Client
from esb_gateway.routes.events import build_event, http_event, rest_event
from esb_gateway.routes.proxy_request import ApiIdentity, ProxyRequest
from esb_gateway.routes.router import Match, Route
from hypothesis import given
from hypothesis import strategies as st

REST = ProxyRequest(
    match=Match(Route("/orders/{id}", "POST", "orders"), {"id": "a/b"}),
    method="POST",
    raw_path="/orders/a%2Fb",
    query=b"tag=x&tag=y%20z&empty=&bare",
    headers=[
        (b"Host", b"box.local:8080"),
        (b"User-Agent", b"curl/8"),
        (b"Content-Type", b"application/json"),
        (b"X-Many", b"one"),
        (b"x-many", b"two"),
        (b"Cookie", b"a=1; b=2"),
        (b"X-Forwarded-For", b"198.51.100.1"),
    ],
    body=b'{"n": 1}',
    client=Client("203.0.113.7", "203.0.113.7", "http", 8080),
    protocol="HTTP/1.1",
    request_id="req-1",
    trace="Root=1-a-b",
    now=1583349317.135,
    identity=ApiIdentity(),
)
HTTP = evolve(REST, match=Match(Route("/orders/{id}", "ANY", "orders", "2.0", "http"), {"id": "a/b"}))


def test_a_rest_event_is_payload_1_0_field_for_field():
    assert rest_event(REST) == {
        "resource": "/orders/{id}",
        "path": "/orders/a%2Fb",
        "httpMethod": "POST",
        "headers": {
            "Host": "box.local:8080",
            "User-Agent": "curl/8",
            "Content-Type": "application/json",
            "X-Many": "two",
            "Cookie": "a=1; b=2",
            "X-Amzn-Trace-Id": "Root=1-a-b",
            "X-Forwarded-For": "198.51.100.1, 203.0.113.7",
            "X-Forwarded-Port": "8080",
            "X-Forwarded-Proto": "http",
        },
        "multiValueHeaders": {
            "Host": ["box.local:8080"],
            "User-Agent": ["curl/8"],
            "Content-Type": ["application/json"],
            "X-Many": ["one", "two"],
            "Cookie": ["a=1; b=2"],
            "X-Amzn-Trace-Id": ["Root=1-a-b"],
            "X-Forwarded-For": ["198.51.100.1, 203.0.113.7"],
            "X-Forwarded-Port": ["8080"],
            "X-Forwarded-Proto": ["http"],
        },
        "queryStringParameters": {"tag": "y z", "empty": "", "bare": ""},
        "multiValueQueryStringParameters": {"tag": ["x", "y z"], "empty": [""], "bare": [""]},
        "pathParameters": {"id": "a/b"},
        "stageVariables": None,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "box.local",
            "domainPrefix": "box",
            "extendedRequestId": "req-1",
            "httpMethod": "POST",
            "identity": {
                "accessKey": None,
                "accountId": None,
                "apiKey": None,
                "caller": None,
                "cognitoAuthenticationProvider": None,
                "cognitoAuthenticationType": None,
                "cognitoIdentityId": None,
                "cognitoIdentityPoolId": None,
                "principalOrgId": None,
                "sourceIp": "203.0.113.7",
                "user": None,
                "userAgent": "curl/8",
                "userArn": None,
            },
            "path": "/Prod/orders/a%2Fb",
            "protocol": "HTTP/1.1",
            "requestId": "req-1",
            "requestTime": "04/Mar/2020:19:15:17 +0000",
            "requestTimeEpoch": 1583349317135,
            "resourceId": rest_event(REST)["requestContext"]["resourceId"],
            "resourcePath": "/orders/{id}",
            "stage": "Prod",
        },
        "body": '{"n": 1}',
        "isBase64Encoded": False,
    }


def test_what_a_rest_request_has_not_is_null():
    event = rest_event(evolve(REST, query=b"", body=b"", match=Match(Route("/", "GET", "f"), {}), headers=[]))
    for key in ("queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "body"):
        assert event[key] is None
    assert event["requestContext"]["identity"]["userAgent"] is None
    assert event["isBase64Encoded"] is False


def test_an_http_event_is_payload_2_0_field_for_field():
    assert http_event(HTTP) == {
        "version": "2.0",
        "routeKey": "ANY /orders/{id}",
        "rawPath": "/orders/a%2Fb",
        "rawQueryString": "tag=x&tag=y%20z&empty=&bare",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "host": "box.local:8080",
            "user-agent": "curl/8",
            "content-type": "application/json",
            "x-many": "one,two",
            "x-amzn-trace-id": "Root=1-a-b",
            "x-forwarded-for": "198.51.100.1, 203.0.113.7",
            "x-forwarded-port": "8080",
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"tag": "x,y z", "empty": "", "bare": ""},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": "box.local",
            "domainPrefix": "box",
            "http": {
                "method": "POST",
                "path": "/orders/a%2Fb",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl/8",
            },
            "requestId": "req-1",
            "routeKey": "ANY /orders/{id}",
            "stage": "$default",
            "time": "04/Mar/2020:19:15:17 +0000",
            "timeEpoch": 1583349317135,
        },
        "pathParameters": {"id": "a/b"},
        "body": '{"n": 1}',
        "isBase64Encoded": False,
    }


def test_what_an_http_request_has_not_is_left_out():
    event = http_event(
        evolve(HTTP, query=b"", body=b"", headers=[], match=Match(Route("/", "GET", "f", "2.0", "http"), {}))
    )
    assert not {"cookies", "queryStringParameters", "pathParameters", "body"} & event.keys()
    assert event["isBase64Encoded"] is False


def test_bodies_that_are_not_text_are_base64():
    def bodies(content_type: bytes, body: bytes) -> list[tuple[object, object]]:
        headers = [(b"content-type", content_type)] if content_type else []
        events = (
            rest_event(evolve(REST, headers=headers, body=body)),
            http_event(evolve(HTTP, headers=headers, body=body)),
        )
        return [(event["body"], event["isBase64Encoded"]) for event in events]

    assert bodies(b"image/png", b"\x89PNG") == [("iVBORw==", True)] * 2
    assert bodies(b"application/octet-stream", b"text") == [("dGV4dA==", True)] * 2
    assert bodies(b"multipart/form-data; boundary=x", b"text") == [("dGV4dA==", True)] * 2
    assert bodies(b"text/plain; charset=utf-8", "é".encode()) == [("é", False)] * 2
    assert bodies(b"application/vnd.api+JSON", b"{}") == [("{}", False)] * 2
    assert bodies(b"", b"text") == [("text", False)] * 2
    assert bodies(b"text/plain", b"\xff") == [("/w==", True)] * 2
    # The documented difference: to HTTP APIs a form is not text.
    assert bodies(b"application/x-www-form-urlencoded", b"a=1") == [("a=1", False), ("YT0x", True)]


def test_the_gateway_says_itself_where_a_request_came_from():
    event = rest_event(
        evolve(REST, headers=[(b"x-forwarded-proto", b"https"), (b"X-Amzn-Trace-Id", b"fake")])
    )
    assert event["headers"]["X-Forwarded-Proto"] == "http"
    assert event["headers"]["X-Amzn-Trace-Id"] == "Root=1-a-b"
    assert "x-forwarded-proto" not in event["headers"]


def test_headers_about_the_connection_stay_here():
    sent = [(b"Connection", b"close"), (b"TE", b"trailers"), (b"Transfer-Encoding", b"chunked")]
    event = http_event(evolve(HTTP, headers=[*sent, (b"X-A", b"b")]))
    assert event["headers"].keys() == {"x-a", "x-amzn-trace-id", *FORWARDED}


FORWARDED = ("x-forwarded-for", "x-forwarded-port", "x-forwarded-proto")


def test_domain_names_of_addresses_are_whole():
    event = rest_event(evolve(REST, headers=[(b"host", b"[::1]:8080")]))
    assert event["requestContext"]["domainName"] == "[::1]"
    assert rest_event(evolve(REST, headers=[(b"host", b"[::1]")]))["requestContext"]["domainName"] == "[::1]"


header_names = st.text(st.sampled_from("abcXYZ-"), min_size=1, max_size=6).map(str.encode)
header_values = st.binary(max_size=12).filter(lambda value: not set(value) & {10, 13, 0})


@given(
    headers=st.lists(st.tuples(header_names, header_values), max_size=6),
    query=st.binary(max_size=30),
    body=st.binary(max_size=40),
    path=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20),
)
def test_any_request_makes_events_of_valid_json_that_agree(headers, query, body, path):
    rest = json.loads(build_event(evolve(REST, headers=headers, query=query, body=body, raw_path=path)))
    http = json.loads(build_event(evolve(HTTP, headers=headers, query=query, body=body, raw_path=path)))
    for name, values in rest["multiValueHeaders"].items():
        assert rest["headers"][name] == values[-1]
        assert http["headers"][name.lower()] == ",".join(values)
    for name, values in (rest["multiValueQueryStringParameters"] or {}).items():
        assert rest["queryStringParameters"][name] == values[-1]
        assert http["queryStringParameters"][name] == ",".join(values)
    assert (rest["body"] is None) == (not body) == ("body" not in http)
