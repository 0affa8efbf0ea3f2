import json

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from esb_gateway.http_messages import Ends, Request
from esb_gateway.routes.function_urls import is_function_url

PAGE = "https://app.example.com"
CORS = {"allow_origins": [PAGE], "allow_methods": ["*"], "allow_credentials": True, "max_age": 60}
FUNCTIONS = {
    "Api": {"image": "api:1", "function_url": {"auth_type": "NONE"}},
    "signed": {"image": "api:1", "function_url": {"auth_type": "AWS_IAM"}},
    "pages": {"image": "api:1", "function_url": {"cors": CORS}},
    "stream": {"image": "api:1", "function_url": {"invoke_mode": "RESPONSE_STREAM"}},
    "off": {"image": "x", "scaling": {"max_capacity": 0}, "function_url": {}},
    "none": {"image": "x"},
}


def answers(agent, name, helpers, value, **more):
    async def handler(seen):
        return helpers.answer(value, **more)

    agent.handlers[name] = handler


def at(name: str) -> dict[str, str]:
    return {"host": f"{name}.lambda-url.box.local:8080"}


async def test_a_url_has_its_own_host_name_and_gives_the_documented_event(gateway, agent, helpers, fake_time):
    answers(agent, "Api", helpers, {"statusCode": 201, "cookies": ["a=1", "b=2"], "body": "made"})
    async with gateway(FUNCTIONS, deps={"clock": fake_time.clock()}) as box:
        response = await box.client.post(
            "/my/path?parameter1=value1&parameter1=value2&parameter2=value",
            content="Hello from client!",
            headers={
                **at("api"),
                "content-type": "text/plain",
                "header2": "value1",
                "user-agent": "agent",
                "cookie": "cookie1; cookie2",
                "accept": "*/*",
                "accept-encoding": "identity",
                "connection": "close",
            },
        )
    assert (response.status_code, response.text) == (201, "made")
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.headers["content-type"] == "application/json"
    request_id, trace = response.headers["x-amzn-requestid"], response.headers["x-amzn-trace-id"]
    assert agent.seen[0].event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/my/path",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=value",
        "cookies": ["cookie1", "cookie2"],
        "headers": {
            "host": "api.lambda-url.box.local:8080",
            "accept": "*/*",
            "accept-encoding": "identity",
            "content-type": "text/plain",
            "content-length": "18",
            "header2": "value1",
            "user-agent": "agent",
            "x-amzn-trace-id": trace,
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "8080",
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "value"},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "api",
            "authentication": None,
            "authorizer": None,
            "domainName": "api.lambda-url.box.local",
            "domainPrefix": "api",
            "http": {
                "method": "POST",
                "path": "/my/path",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "agent",
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": "14/Nov/2023:22:13:20 +0000",
            "timeEpoch": 1700000000000,
        },
        "pathParameters": None,
        "stageVariables": None,
        "body": "Hello from client!",
        "isBase64Encoded": False,
    }


async def test_a_path_prefix_does_as_well_and_is_no_part_of_the_events_path(gateway, agent, helpers):
    answers(agent, "Api", helpers, "Hello, world!")
    async with gateway(FUNCTIONS) as box:
        response = await box.client.get("/function-urls/Api/a%2Fb/c?x=1")
        assert agent.seen[-1].event["rawPath"] == "/a%2Fb/c"
        await box.client.get("/function-urls/Api")
        assert agent.seen[-1].event["rawPath"] == "/"
        await box.client.get("/health", headers=at("API"))
        assert agent.seen[-1].event["rawPath"] == "/health", "a URL's host has no path of the gateway's own"
    # The documented example: a text keeps its quotes.
    assert (response.text, response.headers["content-type"]) == ('"Hello, world!"', "application/json")


async def test_what_goes_wrong_is_answered_in_the_words_of_lambda(gateway, agent, helpers):
    async with gateway(FUNCTIONS) as box:

        async def told(name: str) -> tuple[int, str]:
            response = await box.client.get(f"/function-urls/{name}/")
            return response.status_code, response.json()["Message"]

        assert await told("nobody") == (404, "Not Found")
        assert await told("none") == (404, "Not Found"), "a function without a URL"
        assert await told("") == (404, "Not Found")
        assert await told("off") == (429, "Too Many Requests")
        answers(agent, "Api", helpers, {"errorType": "KeyError"}, error="Unhandled")
        assert await told("Api") == (502, "Internal Server Error")
        answers(agent, "Api", helpers, {"statusCode": 20})
        assert await told("Api") == (502, "Internal Server Error")
        answers(agent, "Api", helpers, {}, error="Unhandled", gone="timeout")
        assert await told("Api") == (504, "Gateway Timeout")
        answers(agent, "Api", helpers, {}, status=500)
        assert await told("Api") == (503, "Service Unavailable")
        too_large = await box.client.post("/function-urls/Api/", content=b"x" * (6 * 1024 * 1024 + 1))
        assert (too_large.status_code, too_large.json()) == (413, {"Message": "Request Entity Too Large"})


async def test_preflights_and_answers_carry_the_urls_cross_origin_rules(gateway, agent, helpers):
    answers(agent, "pages", helpers, {"statusCode": 200, "headers": {"access-control-allow-origin": "*"}})
    ask = {"origin": PAGE, "access-control-request-method": "DELETE"}
    async with gateway(FUNCTIONS) as box:
        preflight = await box.client.options("/function-urls/pages/x", headers=ask)
        assert (preflight.status_code, agent.seen) == (204, [])
        assert preflight.headers["access-control-allow-methods"] == "DELETE"
        assert preflight.headers["access-control-max-age"] == "60"
        real = await box.client.get("/function-urls/pages/x", headers={"origin": PAGE})
        assert real.headers.get_list("access-control-allow-origin") == [PAGE]
        assert real.headers["access-control-allow-credentials"] == "true"
        other = await box.client.get("/function-urls/pages/x", headers={"origin": "https://b.test"})
        assert "access-control-allow-origin" not in other.headers
        answers(agent, "pages", helpers, {}, error="Unhandled")
        failed = await box.client.get("/function-urls/pages/x", headers={"origin": PAGE})
        assert (failed.status_code, failed.headers["access-control-allow-origin"]) == (502, PAGE)
        answers(agent, "Api", helpers, {"statusCode": 200})
        plain = await box.client.options("/function-urls/Api/x", headers=ask)
        assert (plain.status_code, agent.seen[-1].event["requestContext"]["http"]["method"]) == (
            200,
            "OPTIONS",
        )


async def test_a_streaming_url_answers_in_chunks_of_unsaid_length(gateway, agent, helpers):
    answers(agent, "stream", helpers, {"statusCode": 200, "body": "x" * 200_000})
    async with gateway(FUNCTIONS) as box:
        response = await box.client.get("/function-urls/stream/")
        assert (len(response.content), "content-length" in response.headers) == (200_000, False)

        async def with_prelude(seen):
            said = json.dumps({"statusCode": 206, "headers": {"content-type": "text/event-stream"}})
            return helpers.raw(said.encode() + b"\0" * 8 + b"data: \xff\n\n")

        agent.handlers["stream"] = with_prelude
        response = await box.client.get("/function-urls/stream/")
        assert (response.status_code, response.content) == (206, b"data: \xff\n\n")
        assert response.headers["content-type"] == "text/event-stream"


async def test_a_url_that_wants_signatures_is_forbidden_without(gateway, agent):
    async with gateway(FUNCTIONS) as box:
        response = await box.client.get("/function-urls/signed/")
        assert (response.status_code, response.json()) == (403, {"Message": "Forbidden"})
        assert agent.seen == []


def signature(url: str, body: bytes, access_key: str, secret: str) -> dict[str, str]:
    """The headers of a client that signs."""
    request = AWSRequest("POST", url, data=body)
    SigV4Auth(Credentials(access_key, secret), "lambda", "us-east-1").add_auth(request)
    return dict(request.headers)


async def test_who_signed_stands_in_the_event(gateway, agent, helpers):
    answers(agent, "signed", helpers, {"statusCode": 200})
    key = helpers.make_credentials().access_keys[0]
    url = "http://box.local:8080/function-urls/signed/a%20b?x=1"
    body = b"signed"
    async with gateway(FUNCTIONS) as box:
        fine = signature(url, body, key.access_key_id, key.secret_access_key)
        assert (await box.client.post(url, content=body, headers=fine)).status_code == 200
        changed = await box.client.post(url, content=b"changed", headers=fine)
        assert (changed.status_code, changed.json()) == (403, {"Message": "Forbidden"})
        wrong = signature(url, body, key.access_key_id, "another secret")
        assert (await box.client.post(url, content=body, headers=wrong)).status_code == 403
    (seen,) = agent.seen
    assert seen.event["requestContext"]["authorizer"]["iam"] == {
        "accessKey": key.access_key_id,
        "accountId": "000000000000",
        "callerId": key.name,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": f"arn:aws:iam::000000000000:user/{key.name}",
        "userId": key.name,
    }


@pytest.mark.parametrize("detour", ["/function-urls/signed/../other/x", "/function-urls/signed/./../other/x"])
async def test_what_was_signed_for_one_url_opens_no_other(gateway, agent, helpers, detour):
    key = helpers.make_credentials().access_keys[0]
    url = "http://box.local:8080/function-urls/other/x"
    handed_out = signature(url, b"", key.access_key_id, key.secret_access_key)
    iam = {"image": "x", "function_url": {"auth_type": "AWS_IAM"}}
    async with gateway({"signed": iam, "other": iam}) as box:
        sent = {}

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.update(message)

        headers = [(name.lower().encode(), value.encode()) for name, value in handed_out.items()]
        scope = {
            "type": "http",
            "method": "POST",
            "path": detour,
            "raw_path": detour.encode(),
            "query_string": b"",
            "headers": [(b"host", b"box.local:8080"), *headers],
            "http_version": "1.1",
            "scheme": "http",
            "client": ("203.0.113.7", 1),
            "server": ("box", 8080),
        }
        await box.app(scope, receive, send)
        assert (sent["status"], agent.seen) == (403, [])
        await box.app(
            scope | {"path": "/function-urls/other/x", "raw_path": b"/function-urls/other/x"}, receive, send
        )
        assert sent["status"] == 200


def request(path, *headers):
    return Request("GET", path, b"", list(headers), None, ends=Ends())


@pytest.mark.parametrize("raw", [b"/%66unction-urls/xy/f/", b"/function-urls%2Ff/"])
def test_another_spelling_of_the_prefix_is_no_url_whose_name_would_be_cut_elsewhere(raw):
    assert is_function_url(request(raw.decode(), (b"host", b"box"))) is False


@pytest.mark.parametrize(
    ("path", "host", "expected"),
    [
        ("/function-urls/f/", b"box", True),
        ("/", b"f.lambda-url.box", True),
        ("/", b"f.lambda-urls.box", False),
        ("/function-urls", b"box", False),
    ],
)
def test_a_request_for_a_url_is_known_by_host_or_path(path, host, expected):
    assert is_function_url(request(path, (b"accept", b"*"), (b"host", host))) is expected
    assert is_function_url(request("/")) is False
