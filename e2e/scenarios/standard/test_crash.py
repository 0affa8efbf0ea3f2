"""Trouble in functions: it stays the caller's of that one call, and the next one is served."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from scenario.box import Box
from scenario.client import Client, until


@pytest.mark.parametrize("how", ["raise", "exit", "kill", "garbage"])
def test_a_route_of_a_function_that_fails(client: Client, how: str) -> None:
    assert client.post("/api/crash", {"how": how}).status == 502
    answer = client.post("/api/crash", {})
    assert answer.status == 200, answer


@pytest.mark.parametrize("how", ["raise", "exit", "kill"])
def test_an_invocation_of_a_function_that_fails(lambdas: Any, how: str) -> None:
    answer = lambdas.invoke(FunctionName="crash", Payload=json.dumps({"how": how}))
    said = json.load(answer["Payload"])
    assert (answer["StatusCode"], answer.get("FunctionError")) == (200, "Unhandled"), said
    assert said["errorType"], said


def test_crashes_do_not_reach_other_calls(client: Client) -> None:
    asked = [{"how": "kill"} if number % 3 == 0 else {} for number in range(12)]
    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(lambda how: client.post("/api/crash", how).status, asked))
    assert statuses == [502 if how else 200 for how in asked]


def test_a_call_that_takes_too_long_ends_with_its_worker(client: Client, lambdas: Any) -> None:
    def marks() -> Any:
        # On a host that is busy with other boxes the start alone may take a new worker its two seconds.
        answer = until(
            lambda: (said := client.post("/api/slow", {})).status == 200 and said, "an answer in time"
        )
        return answer.json()["marks"]

    assert marks() >= 1
    assert client.post("/api/slow", {"seconds": 20}).status == 504
    assert marks() == 1
    answer = lambdas.invoke(FunctionName="slow", Payload=json.dumps({"seconds": 20}))
    said = json.load(answer["Payload"])
    assert answer["FunctionError"] == "Unhandled"
    assert "Task timed out after 2.00 seconds" in said["errorMessage"]


def test_a_worker_that_is_ended_from_outside_is_replaced(box: Box, invoke: Any) -> None:
    before = invoke("scale")["worker"]
    ended = set(box.workers("scale"))
    for worker in ended:
        box.engine.end_worker(worker)
    until(lambda: not ended & set(box.workers("scale")), "it is seen that they ended")
    assert invoke("scale")["worker"] != before


def test_no_worker_is_left_that_nobody_knows(box: Box, client: Client) -> None:
    for how in ("kill", "exit"):
        client.post("/api/crash", {"how": how})
    until(lambda: box.engine.workers() == box.workers(), "engine and gateway have the same workers")
