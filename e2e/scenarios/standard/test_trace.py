"""Traces: from the caller's header through function after function and back."""

from __future__ import annotations

import base64
import json
import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from scenario.client import Client, until


@pytest.fixture
def root() -> str:
    return f"Root=1-{int(time.time()):08x}-{secrets.token_hex(12)}"


def test_a_trace_goes_in_with_a_request_and_out_with_its_answer(client: Client, root: str) -> None:
    answer = client.get("/api/echo", {"X-Amzn-Trace-Id": root})
    assert root in answer.json()["trace"], answer
    assert root in answer.headers["X-Amzn-Trace-Id"], answer


def test_a_request_without_a_trace_gets_one(client: Client) -> None:
    answer = client.get("/api/echo")
    assert answer.json()["trace"].startswith("Root=1-"), answer


def test_a_trace_goes_on_to_functions_that_functions_call(
    lambdas: Any, root: str, rows: Callable[[str], Any]
) -> None:
    context = base64.b64encode(json.dumps({"custom": {"X-Amzn-Trace-Id": root}}).encode()).decode()
    call: dict[str, object] = {"function": "echo", "payload": {}}
    answer = lambdas.invoke(FunctionName="caller", ClientContext=context, Payload=json.dumps(call))
    said = json.load(answer["Payload"])
    assert root in said["trace"], said
    assert root in said["payload"]["trace"], said

    kind = uuid.uuid4().hex
    call = {"function": "record", "type": "Event", "payload": {"kind": kind}}
    lambdas.invoke(FunctionName="caller", ClientContext=context, Payload=json.dumps(call))
    (row,) = until(lambda: rows(kind), "the event's row")
    assert root in row["trace"], row
