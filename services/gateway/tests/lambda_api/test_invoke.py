import asyncio
import json
from base64 import b64decode, b64encode
from urllib.parse import quote

import pytest
from esb_gateway.deployment import Box
from esb_gateway.errors import InvalidContentError
from esb_gateway.lambda_api.invoke import check_json
from esb_gateway.workers.agent import AgentUnavailableError, InitFailedError
from esb_gateway.workers.worker import PoolLimits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FUNCTIONS = {"hello": {"image": "hello:1"}, "off": {"image": "x", "scaling": {"max_capacity": 0}}}


async def test_a_synchronous_call_answers_with_the_functions_payload(gateway, agent):
    async with gateway(FUNCTIONS) as box:
        response = await box.invoke("hello", {"name": "é"})
    assert (response.status_code, response.json()) == (200, {"name": "é"})
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-amz-executed-version"] == "$LATEST"
    assert response.headers["x-amzn-requestid"] == agent.seen[0].head["x-amzn-requestid"]
    assert "x-amz-function-error" not in response.headers
    assert agent.seen[0].head["x-esb-function-arn"] == "arn:aws:lambda:us-east-1:000000000000:function:hello"


@pytest.mark.parametrize(
    "name",
    [
        "hello",
        "hello:live",
        "000000000000:function:hello",
        "arn:aws:lambda:eu-west-1:123456789012:function:hello",
        "arn:aws:lambda:eu-west-1:123456789012:function:hello:7",
    ],
)
async def test_a_function_can_be_named_in_every_form(gateway, name):
    async with gateway(FUNCTIONS) as box:
        assert (await box.invoke(quote(name, safe=""), {})).status_code == 200
        assert (await box.invoke(name, {})).status_code == 200


async def test_the_qualifier_reaches_the_functions_arn(gateway, agent):
    async with gateway(FUNCTIONS) as box:
        await box.invoke("hello:live", {})
        await box.client.post("/2015-03-31/functions/hello/invocations?Qualifier=%24LATEST", content=b"{}")
        wrong = await box.client.post("/2015-03-31/functions/hello:a/invocations?Qualifier=b", content=b"{}")
    assert [seen.head["x-esb-function-arn"].rpartition(":")[2] for seen in agent.seen] == ["live", "$LATEST"]
    assert wrong.headers["x-amzn-errortype"] == "InvalidParameterValueException"


async def test_no_payload_is_an_empty_object(gateway, agent):
    async with gateway(FUNCTIONS) as box:
        assert (await box.invoke("hello")).json() == {}


async def test_the_payload_is_passed_on_byte_by_byte(gateway, agent):
    async with gateway(FUNCTIONS) as box:
        payload = b' {"big": %b, "f": 1e999, "s": "\\ud800"} ' % (b"9" * 5000)
        await box.client.post("/2015-03-31/functions/hello/invocations", content=payload)
    assert agent.seen[0].body == payload


async def test_a_functions_error_is_a_200_that_says_so(gateway, agent, helpers):
    async def fail(seen):
        return helpers.answer({"errorMessage": "boom", "errorType": "ValueError"}, error="Unhandled")

    agent.handlers["hello"] = fail
    async with gateway(FUNCTIONS) as box:
        response = await box.invoke("hello", {})
    assert (response.status_code, response.headers["x-amz-function-error"]) == (200, "Unhandled")
    assert response.json()["errorType"] == "ValueError"


async def test_a_failed_initialisation_is_a_function_error(gateway, agent):
    agent.fail = InitFailedError(b'{"errorType":"Runtime.ImportModuleError"}')
    async with gateway(FUNCTIONS) as box:
        response = await box.invoke("hello", {})
    assert (response.status_code, response.headers["x-amz-function-error"]) == (200, "Unhandled")
    assert response.json() == {"errorType": "Runtime.ImportModuleError"}


async def test_an_event_is_accepted_at_once_and_delivered(gateway, agent, helpers):
    gate = asyncio.Event()

    async def slow(seen):
        await gate.wait()
        return helpers.answer(None)

    agent.handlers["hello"] = slow
    async with gateway(FUNCTIONS) as box:
        response = await box.invoke("hello:live", {"a": 1}, X_Amz_Invocation_Type="Event")
        assert (response.status_code, response.content) == (202, b"")
        gate.set()
        await helpers.eventually(lambda: "event delivered" in box.log.events())
    assert (agent.seen[0].event, agent.seen[0].head["x-amzn-requestid"]) == (
        {"a": 1},
        response.headers["x-amzn-requestid"],
    )
    assert agent.seen[0].head["x-esb-function-arn"].endswith(":hello:live")


async def test_stopping_delivers_what_was_accepted(gateway, agent):
    async with gateway(FUNCTIONS) as box:
        for number in range(5):
            await box.invoke("hello", number, X_Amz_Invocation_Type="Event")
    assert sorted(seen.event for seen in agent.seen) == list(range(5))


async def test_a_payload_of_any_content_type_is_taken_as_json(gateway):
    async with gateway(FUNCTIONS) as box:
        for kind in ("application/octet-stream", "application/x-amz-json-1.0", "text/plain", "nonsense"):
            assert (await box.invoke("hello", {"a": 1}, Content_Type=kind)).json() == {"a": 1}


async def test_a_dry_run_calls_nobody(gateway, agent):
    async with gateway(FUNCTIONS) as box:
        response = await box.invoke("hello", {}, X_Amz_Invocation_Type="DryRun")
    assert (response.status_code, response.content, agent.seen) == (204, b"", [])


async def test_the_end_of_the_log_comes_back_when_it_is_asked_for(gateway, agent, helpers):
    async def logs(seen):
        return helpers.answer(1, log="U1RBUlQ=" if seen.head.get("x-esb-log-type") == "Tail" else None)

    agent.handlers["hello"] = logs
    async with gateway(FUNCTIONS) as box:
        asked = await box.invoke("hello", {}, X_Amz_Log_Type="Tail")
        assert asked.headers["x-amz-log-result"] == "U1RBUlQ="
        for headers in ({}, {"X_Amz_Log_Type": "None"}):
            assert "x-amz-log-result" not in (await box.invoke("hello", {}, **headers)).headers
        refused = await box.invoke("hello", {}, X_Amz_Log_Type="All")
        assert refused.headers["x-amzn-errortype"] == "InvalidParameterValueException"
        event = await box.invoke("hello", {}, X_Amz_Log_Type="Tail", X_Amz_Invocation_Type="Event")
        assert event.status_code == 202
    assert "x-esb-log-type" not in agent.seen[-1].head


async def test_the_trace_goes_on_in_header_and_client_context(gateway, agent):
    context = b64encode(json.dumps({"custom": {"k": "v", "X-Amzn-Trace-Id": "Root=1-c-d"}}).encode()).decode()
    async with gateway(FUNCTIONS) as box:
        fresh = await box.invoke("hello", {})
        given = await box.invoke("hello", {}, X_Amzn_Trace_Id="Root=1-a-b")
        passed = await box.invoke("hello", {}, X_Amz_Client_Context=context)
    assert given.headers["x-amzn-trace-id"] == "Root=1-a-b"
    assert passed.headers["x-amzn-trace-id"] == "Root=1-c-d"
    for response, seen in zip((fresh, given, passed), agent.seen, strict=True):
        trace = response.headers["x-amzn-trace-id"]
        assert seen.head["x-amzn-trace-id"] == trace
        carried = json.loads(b64decode(seen.head["x-amz-client-context"]))["custom"]
        assert carried["X-Amzn-Trace-Id"] == trace
    assert carried["k"] == "v"


def error_of(response) -> tuple[int, str, dict[str, str]]:
    return response.status_code, response.headers["x-amzn-errortype"], response.json()


async def test_every_error_has_awss_form(gateway, agent):
    async with gateway(FUNCTIONS, event_queue_limit=1) as box:
        assert error_of(await box.invoke("nobody", {})) == (
            404,
            "ResourceNotFoundException",
            {
                "Type": "User",
                "Message": "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody",
            },
        )
        status, code, body = error_of(await box.invoke("a%20b", {}))
        assert (status, code) == (400, "ValidationException")
        assert "at 'functionName'" in body["message"]
        status, code, body = error_of(await box.invoke("hello", {}, X_Amz_Invocation_Type="Later"))
        assert (status, code, body["Type"]) == (400, "InvalidParameterValueException", "User")
        deep = b64encode(b'{"custom": {"k": ' + b"[" * 300 + b"]" * 300 + b"}}").decode()
        for context in ("%%", deep):
            status, code, body = error_of(await box.invoke("hello", {}, X_Amz_Client_Context=context))
            assert (status, code) == (400, "InvalidRequestContentException")
        path = "/2015-03-31/functions/hello/invocations"
        status, code, body = error_of(await box.client.post(path, content=b'{"a": '))
        assert (status, code) == (400, "InvalidRequestContentException")
        assert body["message"].startswith("Could not parse request body into json:")
        response = await box.invoke("off", {})
        status, code, body = error_of(response)
        assert (status, code) == (429, "TooManyRequestsException")
        assert body["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert response.headers["retry-after"] == "1"
        agent.fail = AgentUnavailableError("the agent does not answer")
        assert error_of(await box.invoke("hello", {})) == (
            500,
            "ServiceException",
            {"Type": "Service", "Message": "the agent does not answer"},
        )
        agent.fail = None


@pytest.mark.parametrize(("kind", "limit"), [("RequestResponse", 6 * 1024 * 1024), ("Event", 1024 * 1024)])
async def test_payloads_have_awss_limits(gateway, kind, limit):
    largest = b'"' + b"x" * (limit - 2) + b'"'

    async def chunks(data):
        for at in range(0, len(data), 500_000):
            yield data[at : at + 500_000]

    headers = {"x-amz-invocation-type": kind}
    path = "/2015-03-31/functions/hello/invocations"
    async with gateway(FUNCTIONS) as box:
        assert (await box.client.post(path, content=largest, headers=headers)).status_code < 300
        too_large = await box.client.post(path, content=largest + b" ", headers=headers)
        assert error_of(too_large)[:2] == (413, "RequestTooLargeException")
        told = too_large.json()["message"]
        assert f"smaller than {limit} bytes for the " in told
        assert told.endswith(f" found {limit + 1} bytes")
        unannounced = await box.client.post(path, content=chunks(largest + b" "), headers=headers)
        assert error_of(unannounced)[:2] == (413, "RequestTooLargeException")


async def test_a_throttle_tells_whose_limit_was_reached(gateway, agent, helpers):
    async def slow(seen):
        await asyncio.sleep(0.2)
        return helpers.answer(None)

    agent.handlers.update(own=slow, shared=slow)
    functions = {
        "own": {"image": "x", "scaling": {"max_capacity": 1, "acquire_timeout": 0}},
        "shared": {"image": "x", "scaling": {"acquire_timeout": 0.01}},
    }
    limits = PoolLimits(max=1, acquire_timeout=0.01)
    reasons = {}
    async with gateway(functions, box=Box(limits=limits)) as box:
        for name in functions:
            both = await asyncio.gather(box.invoke(name, {}), box.invoke(name, {}), box.invoke(name, {}))
            reasons[name] = {one.json()["Reason"] for one in both if one.status_code == 429}
    assert reasons == {
        "own": {"ReservedFunctionConcurrentInvocationLimitExceeded"},
        "shared": {"ConcurrentInvocationLimitExceeded"},
    }


async def test_a_full_event_queue_throttles(gateway, agent, helpers):
    gate = asyncio.Event()

    async def slow(seen):
        await gate.wait()
        return helpers.answer(None)

    agent.handlers["hello"] = slow
    async with gateway(FUNCTIONS, event_queue_limit=1) as box:
        assert (await box.invoke("hello", {}, X_Amz_Invocation_Type="Event")).status_code == 202
        assert (await box.invoke("hello", {}, X_Amz_Invocation_Type="Event")).status_code == 429
        gate.set()


async def test_other_operations_are_unknown(gateway):
    async with gateway(FUNCTIONS) as box:
        for path in ("functions/hello/invocations", "functions/a/b/c", "event-source-mappings", ""):
            response = await box.client.get(f"/2015-03-31/{path}")
            assert error_of(response)[:2] == (404, "UnknownOperationException")


async def test_a_burst_on_a_cold_function_is_answered_or_throttled(gateway, agent):
    functions = {"f": {"image": "x", "scaling": {"max_capacity": 2, "acquire_timeout": 5}}}
    async with gateway(functions) as box:
        answers = await asyncio.gather(*(box.invoke("f", n) for n in range(50)))
    assert [response.json() for response in answers] == list(range(50))
    assert len(agent.started) == 2


async def test_a_bug_costs_one_request_and_is_logged(gateway, agent):
    async def bug(seen):
        raise ZeroDivisionError

    agent.handlers["hello"] = bug
    async with gateway(FUNCTIONS) as box:
        assert error_of(await box.invoke("hello", {}))[:2] == (500, "ServiceException")
        assert "bug" in box.log.events()
        del agent.handlers["hello"]
        assert (await box.invoke("hello", {})).status_code == 200


@settings(deadline=None)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)
)
def test_what_json_can_say_is_json(value):
    text = json.dumps(value)
    try:
        check_json(text.encode())
    except InvalidContentError:
        assert "NaN" in text or "Infinity" in text


@given(st.binary(max_size=40))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_payload_is_either_json_or_refused(payload):
    try:
        check_json(payload)
    except InvalidContentError:
        return
    json.loads(payload)


def test_json_nested_beyond_reason_is_refused():
    with pytest.raises(InvalidContentError):
        check_json(b"[" * 200_000 + b"]" * 200_000)
