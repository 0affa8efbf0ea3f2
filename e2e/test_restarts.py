"""What calls notice of a real box's restarts, bursts and pauses: as little as can be."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from faults.real_box import RealBox

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.11, CodeUri: src/, Timeout: 20, MemorySize: 256}
Resources:
  Count: {Type: AWS::Serverless::Function, Properties: {FunctionName: count, Handler: app.count}}
  Other: {Type: AWS::Serverless::Function, Properties: {FunctionName: other, Handler: app.count}}
  Few:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: few, Handler: app.count, ReservedConcurrentExecutions: 4}
  Warm:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: warm
      Handler: app.count
      AutoPublishAlias: live
      ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 2}
"""
SOURCE = """
import os
import time

calls = 0


def count(event, context):
    global calls
    calls += 1
    time.sleep(event.get("seconds", 0))
    return {"pid": os.getpid(), "calls": calls}
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBox]:
    environ = {"ENABLE_CONTAINER_PAUSE": "true", "ESB_GATEWAY_PAUSE_AFTER": "3"}
    running = RealBox(tmp_path_factory.mktemp("restarts"), environ)
    running.generate(TEMPLATE, {"src/app.py": SOURCE})
    with running.serving():
        yield running


@pytest.fixture(scope="module")
def client(box: RealBox, lambda_client: Callable[[RealBox], AbstractContextManager[Any]]) -> Iterator[Any]:
    with lambda_client(box) as made:
        yield made


def call(client: Any, function: str, **event: float) -> dict[str, int]:
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event))
    said: dict[str, int] = json.load(answer["Payload"])
    assert "FunctionError" not in answer, said
    return said


def end(box: RealBox, service: str, number: signal.Signals) -> None:
    """Send a signal and wait until the supervisor's next one is there and the gateway is well."""
    before = box.services()[service]
    os.kill(before, number)
    box.until(lambda: box.services().get(service) not in {None, before}, f"{service} is started again")
    box.until(lambda: box.health().get("status") == "ok", "the gateway is well")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_gateway_started_again_goes_on_with_the_workers_that_live(
    box: RealBox, client: Any, number: signal.Signals
) -> None:
    before = call(client, "count")
    workers = sorted(box.workers())
    end(box, "gateway", number)
    after = call(client, "count")
    assert after == {"pid": before["pid"], "calls": before["calls"] + 1}
    assert sorted(box.workers()) == workers


def test_a_worker_that_was_busy_for_a_killed_gateway_is_adopted_when_it_is_free(
    box: RealBox, client: Any
) -> None:
    before = call(client, "other")
    held = threading.Thread(target=lost_call, args=(client, "other"))
    held.start()
    box.until(lambda: 'workers{function="other",state="busy"} 1.0' in metrics(box), "the call runs")
    end(box, "gateway", signal.SIGKILL)
    held.join()
    box.until(lambda: 'adopted_total{function="other"} 1.0' in metrics(box), "the worker is adopted", 15)
    # As many at once as there may be workers: which of the idle ones a single call gets is anybody's guess.
    with ThreadPoolExecutor(4) as many:
        answers = list(many.map(lambda _: call(client, "other", seconds=0.5), range(4)))
    assert before["pid"] in {answer["pid"] for answer in answers}


def metrics(box: RealBox) -> str:
    with urllib.request.urlopen(f"{box.url}/metrics", timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def lost_call(client: Any, function: str) -> None:
    with contextlib.suppress(BotoCoreError, ClientError):  # its gateway was killed
        call(client, function, seconds=4)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_calls_that_come_while_the_agent_is_gone_are_answered_and_the_minimum_is_restored(
    box: RealBox, client: Any, number: signal.Signals
) -> None:
    call(client, "warm")
    warm = set(box.workers())
    os.kill(box.services()["agent"], number)
    # Until then a call may still reach a worker that is about to die with its agent, and be lost with it.
    box.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in warm), "the agent's workers are gone")
    with ThreadPoolExecutor(8) as threads:
        answered = list(threads.map(lambda _: call(client, "warm"), range(8)))
    assert not warm & {one["pid"] for one in answered}
    box.until(lambda: box.health().get("status") == "ok", "the gateway is well")
    box.until(lambda: len(box.workers()) >= 2, "two workers are kept warm")


def test_a_burst_on_a_cold_function_is_answered_by_as_many_workers_as_it_may_have(
    box: RealBox, client: Any
) -> None:
    with ThreadPoolExecutor(50) as threads:
        answered = list(threads.map(lambda _: call(client, "few"), range(50)))
    assert 1 <= len({one["pid"] for one in answered}) <= 4


def test_an_idle_worker_is_paused_and_resumed_for_the_next_call(box: RealBox, client: Any) -> None:
    before = call(client, "few")
    box.until(lambda: states(box, before["pid"]) == "T", "the worker is stopped", 20)
    found = containers(box, "few")
    assert {(one["pool_state"], one["agent_state"]) for one in found} == {("paused", "paused")}
    after = [call(client, "few") for _ in range(2)]
    assert before["pid"] in {one["pid"] for one in after}


def states(box: RealBox, pid: int) -> str:
    """The kernel's letter for what a process does."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def containers(box: RealBox, function: str) -> list[dict[str, Any]]:
    key = box.credentials()["admin_keys"][0]["value"]
    request = urllib.request.Request(f"{box.url}/metrics/containers", headers={"x-api-key": key})
    with urllib.request.urlopen(request, timeout=5) as answer:
        found: list[dict[str, Any]] = json.load(answer)["containers"]
        return [one for one in found if one["function"] == function]
