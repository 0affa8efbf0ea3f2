import asyncio
import json
from base64 import b64decode

import pytest
from esb_gateway.errors import ThrottledError
from esb_gateway.routes.api_routes import ApiRoutes
from esb_gateway.routes.client import parse_trusted_proxies
from esb_gateway.routes.proxy_request import Caller
from esb_gateway.workers.agent import AgentUnavailableError, InitFailedError

FUNCTIONS = {"api": {"image": "api:1"}, "off": {"image": "x", "scaling": {"max_capacity": 0}}}
ROUTES = [
    {"path": "/orders/{id}", "method": "ANY", "function": "api"},
    {"path": "/files/{proxy+}", "method": "GET", "function": "api"},
    {"path": "/v2/{id}", "method": "GET", "function": "api", "payload_version": "2.0"},
    {"path": "/off", "function": "off"},
    {"path": "/gone", "function": "gone"},
]


def answers(agent, helpers, value, **more):
    async def handler(seen):
        return helpers.answer(value, **more)

    agent.handlers["api"] = handler


async def test_a_request_becomes_an_event_and_the_answer_a_response(gateway, agent, helpers):
    answers(
        agent,
        helpers,
        {"statusCode": 201, "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]}, "body": '{"ok": true}'},
    )
    async with gateway(FUNCTIONS, ROUTES) as box:
        response = await box.client.put("/orders/a%2Fb?x=1&x=2", content=b'{"n": 1}', headers={"x-key": "k"})
    assert (response.status_code, response.json()) == (201, {"ok": True})
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    event = agent.seen[0].event
    assert (event["resource"], event["path"], event["httpMethod"]) == ("/orders/{id}", "/orders/a%2Fb", "PUT")
    assert event["pathParameters"] == {"id": "a/b"}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"]}
    assert (event["headers"]["x-key"], event["body"]) == ("k", '{"n": 1}')
    assert event["requestContext"]["identity"]["sourceIp"] == "203.0.113.7"
    assert event["requestContext"]["requestId"] == response.headers["x-amzn-requestid"]
    assert event["headers"]["X-Amzn-Trace-Id"] == response.headers["x-amzn-trace-id"]
    assert agent.seen[0].head["x-amzn-trace-id"] == response.headers["x-amzn-trace-id"]
    context = json.loads(b64decode(agent.seen[0].head["x-amz-client-context"]))
    assert context["custom"]["X-Amzn-Trace-Id"] == response.headers["x-amzn-trace-id"]


async def test_binary_bodies_go_in_and_out_as_base64(gateway, agent, helpers):
    answers(
        agent,
        helpers,
        {
            "statusCode": 200,
            "headers": {"content-type": "image/png"},
            "isBase64Encoded": True,
            "body": "iVBORw==",
        },
    )
    async with gateway(FUNCTIONS, ROUTES) as box:
        response = await box.client.post(
            "/orders/1", content=b"\xff\x00", headers={"content-type": "image/gif"}
        )
    assert (response.content, response.headers["content-type"]) == (b"\x89PNG", "image/png")
    assert (agent.seen[0].event["body"], agent.seen[0].event["isBase64Encoded"]) == ("/wA=", True)


async def test_http_api_routes_have_events_and_answers_of_version_2(gateway, agent, helpers):
    answers(agent, helpers, {"hello": "world"})
    async with gateway(FUNCTIONS, ROUTES) as box:
        response = await box.client.get("/v2/7")
    assert (response.status_code, response.json()) == (200, {"hello": "world"})
    event = agent.seen[0].event
    assert (event["version"], event["routeKey"], event["pathParameters"]) == (
        "2.0",
        "GET /v2/{id}",
        {"id": "7"},
    )


def message(response) -> tuple[int, str]:
    return response.status_code, response.json()["message"]


async def test_an_unknown_route_asks_for_a_token_as_rest_apis_do(gateway):
    async with gateway(FUNCTIONS, ROUTES) as box:
        assert message(await box.client.get("/nothing")) == (403, "Missing Authentication Token")
        assert message(await box.client.post("/files/x")) == (403, "Missing Authentication Token")
        response = await box.client.get("/")
        assert response.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"


async def test_an_unknown_route_is_not_found_where_there_are_only_http_apis(gateway):
    async with gateway(FUNCTIONS, ROUTES[2:3]) as box:
        assert message(await box.client.get("/nothing")) == (404, "Not Found")


@pytest.mark.parametrize(
    ("value", "more", "expected"),
    [
        ({"no": "status"}, {}, (502, "Internal server error")),
        ({"errorType": "KeyError"}, {"error": "Unhandled"}, (502, "Internal server error")),
        (
            {"errorType": "Runtime.ExitError"},
            {"error": "Unhandled", "gone": "exit"},
            (502, "Internal server error"),
        ),
        (
            {"errorType": "Sandbox.Timedout"},
            {"error": "Unhandled", "gone": "timeout"},
            (504, "Endpoint request timed out"),
        ),
        ({}, {"status": 500}, (503, "Service Unavailable")),
    ],
)
async def test_what_goes_wrong_in_a_function_is_answered_as_api_gateway_does(
    gateway, agent, helpers, value, more, expected
):
    answers(agent, helpers, value, **more)
    async with gateway(FUNCTIONS, ROUTES) as box:
        assert message(await box.client.get("/orders/1")) == expected


async def test_an_http_api_says_it_in_its_own_words(gateway, agent, helpers):
    answers(agent, helpers, {"statusCode": "bad"})
    async with gateway(FUNCTIONS, ROUTES) as box:
        assert message(await box.client.get("/v2/1")) == (502, "Internal Server Error")


async def test_what_goes_wrong_in_the_box_is_answered_as_api_gateway_does(gateway, agent):
    async with gateway(FUNCTIONS, ROUTES) as box:
        throttled = await box.client.get("/off")
        assert (message(throttled), throttled.headers["retry-after"]) == ((429, "Too Many Requests"), "1")
        assert message(await box.client.get("/gone")) == (500, "Internal server error")
        agent.fail = AgentUnavailableError("away")
        assert message(await box.client.get("/orders/1")) == (503, "Service Unavailable")
        agent.fail = InitFailedError(b"{}")
        assert message(await box.client.get("/orders/1")) == (502, "Internal server error")
        agent.fail = None


async def test_bodies_have_api_gateways_limit(gateway, agent, helpers):
    answers(agent, helpers, {"statusCode": 200})
    async with gateway(FUNCTIONS, ROUTES) as box:
        assert (await box.client.post("/orders/1", content=b"x" * 10 * 1024 * 1024)).status_code == 200
        too_large = await box.client.post("/orders/1", content=b"x" * (10 * 1024 * 1024 + 1))
        assert message(too_large) == (413, "Request Too Long")


async def test_the_gateways_own_paths_cannot_be_taken(gateway, log):
    routes = [
        {"path": "/health", "method": "ANY", "function": "api"},
        {"path": "/{proxy+}", "method": "ANY", "function": "api"},
    ]
    async with gateway(FUNCTIONS, routes) as box:
        assert "generation" in (await box.client.get("/health")).json()
        assert (await box.client.get("/metrics")).text.startswith("# HELP")
        assert "config warning" in log.events()


async def test_a_call_of_a_client_that_went_away_does_not_leak_its_worker(gateway, agent, helpers):
    async def hang(seen):
        await asyncio.Event().wait()

    agent.handlers["api"] = hang
    async with gateway({"api": {"image": "x", "scaling": {"max_capacity": 1}}}, ROUTES[:1]) as box:
        call = asyncio.create_task(box.client.get("/orders/1"))
        await helpers.eventually(lambda: agent.seen)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        answers(agent, helpers, {"statusCode": 200})
        assert (await box.client.get("/orders/1")).status_code == 200


async def test_a_bug_costs_one_request(gateway, agent):
    async def bug(seen):
        raise ZeroDivisionError

    agent.handlers["api"] = bug
    async with gateway(FUNCTIONS, ROUTES) as box:
        assert message(await box.client.get("/orders/1")) == (502, "Internal server error")
        assert "bug" in box.log.events()


PAGE = "https://app.example.com"
CORS = {
    "allow_origins": [PAGE],
    "allow_methods": ["GET", "PUT"],
    "allow_headers": ["content-type"],
    "max_age": 60,
}
PAGES = [
    {"path": "/http/{id}", "method": "GET", "function": "api", "payload_version": "2.0", "cors": CORS},
    {"path": "/http/{id}", "method": "OPTIONS", "function": "api", "payload_version": "2.0", "cors": CORS},
    {"path": "/rest/a", "method": "GET", "function": "api", "cors": CORS},
    {"path": "/rest/own", "method": "ANY", "function": "api", "cors": CORS},
    {"path": "/rest/own", "method": "OPTIONS", "function": "api", "cors": CORS},
    {"path": "/plain", "method": "ANY", "function": "api", "payload_version": "2.0"},
    {"path": "/off", "function": "off", "payload_version": "2.0", "cors": CORS},
]
ASK = {"origin": PAGE, "access-control-request-method": "GET"}


def permissions(response) -> dict[str, str]:
    return {name[15:]: value for name, value in response.headers.items() if name.startswith("access-control")}


async def test_an_http_apis_preflight_is_answered_by_the_gateway_even_past_an_options_route(gateway, agent):
    async with gateway(FUNCTIONS, PAGES) as box:
        response = await box.client.options("/http/7", headers=ASK)
        assert (response.status_code, response.content, agent.seen) == (204, b"", [])
        assert permissions(response) == {
            "allow-origin": PAGE,
            "allow-methods": "GET,PUT",
            "allow-headers": "content-type",
            "max-age": "60",
        }
        assert response.headers["vary"] == "Origin"
        refused = await box.client.options("/http/7", headers={**ASK, "origin": "https://evil.test"})
        assert (refused.status_code, permissions(refused)) == (204, {})
        other = await box.client.options("/http/7", headers={**ASK, "access-control-request-method": "PUT"})
        assert permissions(other)["allow-origin"] == PAGE, "the real request will find it is not there"


async def test_options_that_is_no_preflight_is_a_request_like_any_other(gateway, agent, helpers):
    answers(agent, helpers, {"statusCode": 200, "body": "mine"})
    async with gateway(FUNCTIONS, PAGES) as box:
        assert (await box.client.options("/http/7", headers={"origin": PAGE})).text == "mine"
        assert message(await box.client.options("/off")) == (404, "Not Found")


async def test_an_http_apis_answers_and_errors_say_who_may_read_them(gateway, agent, helpers):
    answers(
        agent,
        helpers,
        {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*", "access-control-max-age": "1"}},
    )
    async with gateway(FUNCTIONS, PAGES) as box:
        fine = await box.client.get("/http/7", headers={"origin": PAGE})
        assert permissions(fine) == {"allow-origin": PAGE}
        assert permissions(await box.client.get("/http/7")) == {}
        unknown = await box.client.delete("/http/7", headers={"origin": PAGE})
        assert (unknown.status_code, permissions(unknown)) == (404, {"allow-origin": PAGE})
        throttled = await box.client.get("/off", headers={"origin": PAGE})
        assert (throttled.status_code, permissions(throttled)) == (429, {"allow-origin": PAGE})


async def test_a_rest_apis_options_is_a_mock_and_its_answers_are_the_functions_alone(gateway, agent, helpers):
    answers(agent, helpers, {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "mine"}})
    async with gateway(FUNCTIONS, PAGES) as box:
        response = await box.client.options("/rest/a", headers=ASK)
        assert (response.status_code, response.json(), agent.seen) == (200, {}, [])
        assert permissions(response)["allow-methods"] == "GET,PUT"
        assert permissions(await box.client.options("/rest/a"))["allow-origin"] == PAGE
        real = await box.client.get("/rest/a", headers={"origin": PAGE})
        assert permissions(real) == {"allow-origin": "mine"}
        assert permissions(await box.client.put("/rest/a", headers={"origin": PAGE})) == {}
        own = await box.client.options("/rest/own", headers=ASK)
        assert (permissions(own), len(agent.seen)) == ({"allow-origin": "mine"}, 2)


async def test_without_rules_nothing_is_said(gateway, agent, helpers):
    answers(agent, helpers, {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "mine"}})
    async with gateway(FUNCTIONS, PAGES) as box:
        assert permissions(await box.client.options("/plain", headers=ASK)) == {"allow-origin": "mine"}
        assert permissions(await box.client.get("/nowhere", headers={"origin": PAGE})) == {}


async def test_wrong_methods_are_told_as_the_kind_of_api_does(gateway):
    async with gateway(FUNCTIONS, ROUTES) as box:
        assert message(await box.client.post("/v2/7")) == (404, "Not Found")
        assert message(await box.client.post("/files/a")) == (403, "Missing Authentication Token")


async def test_the_function_sees_the_client_behind_a_trusted_proxy(gateway, agent, helpers):
    answers(agent, helpers, {"statusCode": 200})
    sent = {
        "x-forwarded-for": "6.6.6.6, 198.51.100.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "api.example.com",
    }
    trusting = parse_trusted_proxies("203.0.113.0/24")
    async with gateway(FUNCTIONS, ROUTES, trusted_proxies=trusting) as box:
        await box.client.get("/orders/1", headers=sent)
        await box.client.get("/v2/1", headers=sent)
    rest, http = (seen.event for seen in agent.seen)
    assert rest["requestContext"]["identity"]["sourceIp"] == "198.51.100.1"
    assert http["requestContext"]["http"]["sourceIp"] == "198.51.100.1"
    assert rest["requestContext"]["domainName"] == "api.example.com"
    assert rest["headers"]["X-Forwarded-For"] == "6.6.6.6, 198.51.100.1, 203.0.113.7"
    assert (http["headers"]["x-forwarded-proto"], http["headers"]["x-forwarded-port"]) == ("https", "443")


async def test_nobody_else_is_believed(gateway, agent, helpers):
    answers(agent, helpers, {"statusCode": 200})
    async with gateway(FUNCTIONS, ROUTES) as box:
        sent = {"x-forwarded-for": "1.1.1.1", "x-forwarded-host": "evil.test", "x-forwarded-proto": "https"}
        await box.client.get("/orders/1", headers=sent)
    event = agent.seen[0].event
    assert event["requestContext"]["identity"]["sourceIp"] == "203.0.113.7"
    assert event["requestContext"]["domainName"] == "box.local"
    assert event["headers"]["X-Forwarded-For"] == "1.1.1.1, 203.0.113.7"
    assert event["headers"]["X-Forwarded-Proto"] == "http"


async def test_a_route_that_asks_who_calls_is_closed_when_nobody_checks(gateway, agent):
    routes = [{"path": "/a", "function": "api", "auth": {"type": "api_key"}}]
    async with gateway(FUNCTIONS, routes) as box:
        known = box.app._routes
        box.app._routes = ApiRoutes(known._front, known._identity)
        assert message(await box.client.get("/a")) == (403, "Missing Authentication Token")
    assert agent.seen == []


class Gate:
    """Lets anybody in who brings a key, before the body is read."""

    async def route(self, auth, headers):
        if b"x-api-key" not in headers:
            raise ThrottledError("no key")
        return Caller(api_key="k", api_key_id="default", claims={"sub": "ann", "n": 1}, scopes=("read",))


async def test_who_calls_stands_in_the_event(gateway, agent, helpers):
    answers(agent, helpers, {"statusCode": 200})
    routes = [
        {"path": "/rest", "method": "ANY", "function": "api", "auth": {"type": "api_key"}},
        {"path": "/http", "function": "api", "payload_version": "2.0", "auth": {"type": "jwt"}},
        {"path": "/open", "function": "api", "auth": {"type": "none"}},
    ]
    async with gateway(FUNCTIONS, routes) as box:
        known = box.app._routes
        box.app._routes = ApiRoutes(known._front, known._identity, gate=Gate())
        assert (await box.client.post("/rest", content=b"x" * 11_000_000)).status_code == 429
        assert (await box.client.get("/open")).status_code == 200
        for path in ("/rest", "/http"):
            assert (await box.client.get(path, headers={"x-api-key": "k"})).status_code == 200
    _, rest, http = (seen.event["requestContext"] for seen in agent.seen)
    assert (rest["identity"]["apiKey"], rest["identity"]["apiKeyId"]) == ("k", "default")
    assert rest["authorizer"] == {"claims": {"sub": "ann", "n": "1"}}
    assert http["authorizer"] == {"jwt": {"claims": {"sub": "ann", "n": "1"}, "scopes": ["read"]}}


async def test_a_stage_stands_in_the_context_and_before_an_http_apis_path(gateway, agent, helpers):
    answers(agent, helpers, {"statusCode": 200})
    routes = [
        {"path": "/r", "method": "ANY", "function": "api", "stage": "test"},
        {"path": "/h", "method": "ANY", "function": "api", "payload_version": "2.0", "stage": "dev"},
        {"path": "/1", "method": "ANY", "function": "api", "api_type": "http"},
    ]
    async with gateway(FUNCTIONS, routes, stage="Live") as box:
        for path in ("/r", "/h", "/1"):
            await box.client.get(path)
    rest, http, old = (seen.event for seen in agent.seen)
    assert (rest["path"], rest["requestContext"]["path"]) == ("/r", "/test/r")
    assert rest["requestContext"]["stage"] == "test"
    assert (http["rawPath"], http["requestContext"]["http"]["path"]) == ("/dev/h", "/dev/h")
    assert http["requestContext"]["stage"] == "dev"
    assert (old["version"], old["requestContext"]["stage"]) == ("1.0", "$default")
    assert old["requestContext"]["authorizer"] == {"claims": None, "scopes": None}
    assert old["requestContext"]["resourceId"] is None
    assert "user-agent" in old["headers"]
