"""Invocations, synchronous and not, from outside and between functions."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from scenario.box import Box
from scenario.client import Client, until


def test_an_invocation_has_payload_and_request_id(lambdas: Any) -> None:
    answer = lambdas.invoke(FunctionName="echo", Payload=json.dumps({"text": "grün ✓"}))
    said = json.load(answer["Payload"])
    assert (answer["StatusCode"], said["event"]) == (200, {"text": "grün ✓"})
    assert said["request_id"] == answer["ResponseMetadata"]["RequestId"]


def test_the_client_context_reaches_the_function(lambdas: Any) -> None:
    context = base64.b64encode(json.dumps({"custom": {"mine": "yes"}}).encode()).decode()
    answer = lambdas.invoke(
        FunctionName="python", ClientContext=context, Payload=json.dumps({"do": "around"})
    )
    assert json.load(answer["Payload"])["client_context"]["mine"] == "yes"


def test_a_function_that_does_not_exist(lambdas: Any) -> None:
    with pytest.raises(ClientError) as caught:
        lambdas.invoke(FunctionName="nobody")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_dry_run_calls_nobody(lambdas: Any) -> None:
    assert lambdas.invoke(FunctionName="echo", InvocationType="DryRun")["StatusCode"] == 204


@pytest.mark.needs("log-tail")
def test_the_tail_of_the_log_comes_with_the_answer(lambdas: Any) -> None:
    answer = lambdas.invoke(FunctionName="echo", LogType="Tail", Payload=b"{}")
    assert "REPORT RequestId:" in base64.b64decode(answer["LogResult"]).decode()


def test_an_event_is_accepted_and_delivered(lambdas: Any, rows: Callable[[str], Any]) -> None:
    kind = uuid.uuid4().hex
    answer = lambdas.invoke(FunctionName="record", InvocationType="Event", Payload=json.dumps({"kind": kind}))
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    (row,) = until(lambda: rows(kind), "the event's row")
    assert row["id"] == f"{kind}/{answer['ResponseMetadata']['RequestId']}"


def test_an_event_that_fails_becomes_a_dead_letter(lambdas: Any, box: Box, client: Client) -> None:
    mark = uuid.uuid4().hex
    answer = lambdas.invoke(
        FunctionName="crash", InvocationType="Event", Payload=json.dumps({"how": "raise", "mark": mark})
    )
    identity = answer["ResponseMetadata"]["RequestId"]
    admin = {"x-api-key": box.credentials()["admin_keys"][0]["value"]}

    def letter() -> Any:
        return identity in json.dumps(client.get("/events/dead-letters", admin).json())

    until(letter, "the dead letter", 60)
    shown = client.get(f"/events/dead-letters/{identity}", admin)
    assert mark in json.dumps(shown.json()), shown


def test_functions_call_functions(invoke: Any, rows: Callable[[str], Any]) -> None:
    said = invoke("caller", function="echo", payload={"from": "caller"})
    assert (said["status"], said["error"], said["payload"]["event"]) == (200, "", {"from": "caller"})
    kind = uuid.uuid4().hex
    said = invoke("caller", function="record", type="Event", payload={"kind": kind})
    assert (said["status"], said["payload"]) == (202, None)
    until(lambda: rows(kind), "the event's row")


def test_a_failure_reaches_the_calling_function(invoke: Any) -> None:
    said = invoke("caller", function="crash", payload={"how": "raise"})
    assert (said["status"], said["error"]) == (200, "Unhandled")
    assert said["payload"]["errorType"] == "ValueError"
