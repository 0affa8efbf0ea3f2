"""What lasts in a real box: events through kills, a trace through a chain, logs for readers, a schedule."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from faults.real_box import BIN, RealBox

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {{Runtime: python3.11, CodeUri: src/, Timeout: 10, MemorySize: 256}}
Resources:
  Front: {{Type: AWS::Serverless::Function, Properties: {{FunctionName: front, Handler: app.front}}}}
  Back: {{Type: AWS::Serverless::Function, Properties: {{FunctionName: back, Handler: app.back}}}}
  Fail: {{Type: AWS::Serverless::Function, Properties: {{FunctionName: fail, Handler: app.fail}}}}
  Keep:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: keep
      Handler: app.keep
      ReservedConcurrentExecutions: 2
      Environment: {{Variables: {{PLACE: {place}}}}}
"""
SOURCE = """
import json
import os
import time
from pathlib import Path


def front(event, context):
    import boto3

    print("front asks")
    answer = boto3.client("lambda").invoke(FunctionName="back", Payload=json.dumps(event))
    return {"front": os.environ["_X_AMZN_TRACE_ID"], "back": json.load(answer["Payload"])}


def back(event, context):
    print("back answers", event["mark"])
    return os.environ["_X_AMZN_TRACE_ID"]


def fail(event, context):
    if not Path(event["unless"]).exists():
        raise ValueError("not yet")
    Path(event["done"]).touch()


def fire(event, context):
    with open(os.environ["PLACE"], "a") as file:
        file.write(context.aws_request_id + "\\n")


def keep(event, context):
    time.sleep(0.05)
    with open(os.environ["PLACE"], "a") as file:
        file.write(f"{event['number']}\\n")
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the function `keep` writes down what it got."""
    return tmp_path_factory.mktemp("kept") / "numbers"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Iterator[RealBox]:
    running = RealBox(tmp_path_factory.mktemp("lasts"), {"ESB_GATEWAY_EVENT_RETRY_SECONDS": "0.2"})
    running.generate(TEMPLATE.format(place=kept), {"src/app.py": SOURCE})
    with running.serving():
        yield running
    assert running.left_behind() == []


@pytest.fixture(scope="module")
def client(box: RealBox, lambda_client: Callable[[RealBox], AbstractContextManager[Any]]) -> Iterator[Any]:
    with lambda_client(box) as made:
        yield made


def restart_gateway(box: RealBox, number: signal.Signals) -> None:
    before = box.services()["gateway"]
    os.kill(before, number)
    box.until(lambda: box.services().get("gateway") not in {None, before}, "another gateway")
    box.until(lambda: box.health().get("status") == "ok", "the gateway is well")


def test_accepted_events_outlive_a_gateway_that_is_killed(box: RealBox, client: Any, kept: Path) -> None:
    for event in range(60):
        sent = client.invoke(
            FunctionName="keep", InvocationType="Event", Payload=json.dumps({"number": event})
        )
        assert sent["StatusCode"] == 202
    restart_gateway(box, signal.SIGKILL)

    def numbers() -> set[int]:
        return {int(line) for line in kept.read_text().split()} if kept.exists() else set()

    box.until(lambda: numbers() == set(range(60)), "every event is delivered", 20)


def logged(box: RealBox, function: str) -> list[dict[str, Any]]:
    lines = (box.state / "agent" / "logs" / f"{function}.log").read_text().splitlines()
    return [json.loads(line) for line in lines]


def reported(box: RealBox, function: str, root: str) -> bool:
    return any(e["line"].startswith("REPORT") and root in e["trace_id"] for e in logged(box, function))


def test_a_trace_goes_through_a_chain_and_its_logs(box: RealBox, client: Any) -> None:
    root, mark = f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}", uuid.uuid4().hex
    client.meta.events.register_first(
        "before-sign.lambda.Invoke", add_trace := _adding(f"Root={root}"), unique_id="trace"
    )
    try:
        answer = client.invoke(FunctionName="front", Payload=json.dumps({"mark": mark}))
    finally:
        client.meta.events.unregister("before-sign.lambda.Invoke", add_trace, unique_id="trace")
    traces = json.load(answer["Payload"])
    assert f"Root={root}" in traces["front"]
    assert f"Root={root}" in traces["back"]
    for function in ("back", "front"):
        box.until(partial(reported, box, function, root), f"the call of {function} is logged to its end", 10)
    entry = next(entry for entry in logged(box, "back") if mark in entry["line"])
    assert root in entry["trace_id"]
    request = entry["request_id"]
    words = [e["line"].split()[0] for e in logged(box, "back") if e["request_id"] == request]
    assert (words[0], words[-2:]) == ("START", ["END", "REPORT"])
    front = [e for e in logged(box, "front") if e["request_id"] == answer["ResponseMetadata"]["RequestId"]]
    assert front
    assert all(root in entry["trace_id"] for entry in front)


def _adding(trace: str) -> Any:
    def add(request: Any, **_: Any) -> None:
        request.headers["X-Amzn-Trace-Id"] = trace

    return add


def test_a_functions_log_is_followed_until_the_reader_leaves(box: RealBox, client: Any) -> None:
    client.invoke(FunctionName="back", Payload=b'{"mark": "before"}')
    command = [BIN / "esb-node", "logs", "-f", "--function", "back", "--state", box.state]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        mark = uuid.uuid4().hex
        request = client.invoke(FunctionName="back", Payload=json.dumps({"mark": mark}))["ResponseMetadata"]
        try:
            line = next(line for line in following.stdout if mark in line)
            following.send_signal(signal.SIGINT)
            assert following.wait(10) == 0
        finally:
            following.kill()
    assert line.rstrip().endswith(f"{request['RequestId']}  back answers {mark}")


def dead_letters(box: RealBox) -> list[dict[str, Any]]:
    listed = box.command("esb-node", "events", "list", "--state", box.state, "--output", "json")
    found: list[dict[str, Any]] = json.loads(listed.stdout)["dead_letters"]
    return found


def test_an_event_given_up_is_kept_shown_and_replayed(box: RealBox, client: Any, tmp_path: Path) -> None:
    unless, done = tmp_path / "mended", tmp_path / "done"
    payload = json.dumps({"unless": str(unless), "done": str(done)})
    sent = client.invoke(FunctionName="fail", InvocationType="Event", Payload=payload)
    assert sent["StatusCode"] == 202
    request = sent["ResponseMetadata"]["RequestId"]
    box.until(lambda: [letter["id"] for letter in dead_letters(box)] == [request], "it is given up", 30)
    (letter,) = dead_letters(box)
    assert (letter["function"], letter["condition"], letter["attempts"]) == ("fail", "RetriesExhausted", 3)
    shown = box.command("esb-node", "events", "show", "--state", box.state, request).stdout
    assert str(done) in shown
    restart_gateway(box, signal.SIGKILL)
    unless.touch()
    box.command("esb-node", "events", "replay", "--state", box.state, request)
    box.until(done.exists, "it is delivered", 20)
    assert dead_letters(box) == []


@pytest.mark.gate
def test_a_schedule_fires_once_across_restarts(tmp_path: Path) -> None:
    place = tmp_path / "fired"
    box = RealBox(tmp_path)
    box.generate(SCHEDULED.format(place=place), {"src/app.py": SOURCE})
    box.up()
    try:
        box.apply()
        box.until(lambda: box.health().get("schedules") == 1, "the schedule is kept")
        time.sleep(max(0.0, 58.5 - time.time() % 60))  # a rate is due at its multiples: at the next minute
        restart_gateway(box, signal.SIGKILL)
        box.until(place.exists, "it fires", 70)
        fired = time.time()
        restart_gateway(box, signal.SIGKILL)
        restart_gateway(box, signal.SIGTERM)
        time.sleep(max(0.0, min(8.0, 58 - fired % 60)))
        # killed before it knew that the event was done, the gateway delivers it again: the same one
        assert len(set(place.read_text().split())) == 1
    finally:
        box.down()


SCHEDULED = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Fire:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      CodeUri: src/
      Handler: app.fire
      Environment: {{Variables: {{PLACE: {place}}}}}
      Events:
        Often: {{Type: Schedule, Properties: {{Schedule: rate(1 minute), Input: '{{"number": 1}}'}}}}
"""
