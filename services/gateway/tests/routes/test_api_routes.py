import asyncio
import json
from base64 import b64decode

import pytest
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
