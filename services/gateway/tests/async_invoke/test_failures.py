import json

import pytest
from artifact_contract.config_types import AsyncInvoke
from esb_gateway.async_invoke.failures import (
    EXHAUSTED,
    TOO_OLD,
    Rules,
    destination_record,
    rules_of,
    setback_pause,
)
from esb_gateway.workers.invoker import Answer, Call

ARN = "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST"


def record(body: bytes, answer: Answer | None, condition: str = EXHAUSTED) -> dict[str, object]:
    call = Call("id-1", "t", "", body)
    data = destination_record(call, ARN, condition, attempts=3, answer=answer, now=1_700_000_000.5)
    return json.loads(data)


def test_the_record_is_the_one_aws_sends():
    failed = Answer(b'{"errorMessage": "boom"}', "Unhandled")
    assert record(b'{"order": 7}', failed) == {
        "version": "1.0",
        "timestamp": "2023-11-14T22:13:20.500Z",
        "requestContext": {
            "requestId": "id-1",
            "functionArn": ARN,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"order": 7},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "boom"},
    }


def test_an_event_that_never_ran_has_no_response():
    assert {"responseContext", "responsePayload"}.isdisjoint(record(b"{}", None, TOO_OLD))


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b'"\\ud800"', "\ud800"), (b"1e999999", float("inf")), (b"no json \xff", "no json \ufffd"), (b"[", "[")],
)
def test_payloads_that_are_hard_to_read_are_carried_all_the_same(body, expected):
    assert record(b"{}", Answer(body, "Unhandled"))["responsePayload"] == expected


@pytest.mark.parametrize("depth", [1000, 1024, 1500, 100_000])
def test_payloads_nested_deeply_are_carried_all_the_same(depth):
    body = b"[" * depth + b"]" * depth
    data = destination_record(Call("1", "t", "", body), ARN, TOO_OLD, attempts=0, answer=None, now=0.0)
    assert body in data


def test_numbers_are_carried_digit_by_digit():
    body = b'{"id": 123456789012345678901234567890, "far": 1e400, "price": 0.10}'
    data = destination_record(Call("1", "t", "", body), ARN, TOO_OLD, attempts=0, answer=None, now=0.0)
    assert b'"requestPayload":' + body in data


def test_an_answer_too_long_for_an_event_is_left_out():
    assert record(b"{}", Answer(b'"' + b"x" * 1024 * 1024 + b'"', "Unhandled"))["responsePayload"] is None


def test_the_boxs_failures_are_followed_by_growing_pauses():
    assert [setback_pause(number) for number in (1, 2, 3, 9, 10, 10_000)] == [1, 2, 4, 256, 300, 300]


@pytest.mark.parametrize("named", ["cleanup", "arn:aws:lambda:us-east-1:000000000000:function:cleanup:live"])
def test_the_configs_numbers_win_over_awss_defaults(named):
    assert rules_of(AsyncInvoke(60, 0, named)) == Rules(60.0, 0, "cleanup")
    assert rules_of(AsyncInvoke()) == Rules(21600.0, 2, "")
