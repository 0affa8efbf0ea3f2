"""Containerd mode: each part of a box killed under load, then all at once; nothing is lost, nothing left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from containerd_case import real_box
from delivery_ledger import WRITE, ledger
from fault_run import targets
from faults.containerd_box import ContainerdBox
from faults.counts import Disturbance, Kind, Verdict, count_calls
from faults.load import Load

pytestmark = pytest.mark.gate

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    {Runtime: python3.12, CodeUri: src/, Timeout: 20, MemorySize: 128, ReservedConcurrentExecutions: 2}
Resources:
  Echo: {Type: AWS::Serverless::Function, Properties: {FunctionName: Echo, Handler: app.echo}}
  Unused: {Type: AWS::Serverless::Function, Properties: {FunctionName: Unused, Handler: app.echo}}
  Record:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: Record
      Handler: app.record
      Environment: {Variables: {LEDGER_PORT: "@port"}}
  Web:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: Web
      Handler: app.web
      Environment: {Variables: {STEP: step-0}}
      Events: {Get: {Type: Api, Properties: {Path: "/web/{number}", Method: get}}}
"""
SOURCE = """
import json
import os

import ledger


def echo(event, context):
    return {"number": event["number"], "twice": 2 * event["number"]}


def record(event, context):
    ledger.write(event["number"])


def web(event, context):
    if event["pathParameters"]["number"] == "step":
        return {"statusCode": 200, "body": os.environ["STEP"]}
    return {"statusCode": 200, "body": json.dumps({"number": event["pathParameters"]["number"]})}
"""
ENVIRON = {"ESB_GATEWAY_EVENT_RETRY_SECONDS": "1", "ESB_GATEWAY_ACCESS_LOG": "off"}
RATE, CALM_SECONDS = 30.0, 2.0


@frozen
class Shop:
    """A box with the functions above, what it has delivered, and a way to take its registry from it."""

    box: ContainerdBox
    delivered: set[int]
    unplug: Callable[[], None]


@contextmanager
def opened(place: Path) -> Iterator[Shop]:
    sources = {"src/app.py": SOURCE, "src/ledger.py": WRITE}
    with ledger() as kept:
        template = TEMPLATE.replace("@port", str(kept.port))
        with real_box(place, template, sources, ENVIRON, open_ports=(kept.port,)) as (box, unplug):
            box.until(lambda: answered(box) == b"step-0", "the base image is unpacked")
            yield Shop(box, kept.numbers, unplug)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(tmp_path_factory.mktemp("faults")) as running:
        yield running


@contextmanager
def loaded(box: ContainerdBox, first: int) -> Iterator[Load]:
    """Calls and events all the while."""
    load = Load(box.url, targets(box, RATE), first=first)
    thread = threading.Thread(target=lambda: asyncio.run(load.run()))
    thread.start()
    try:
        box.until(lambda: sum(call.right for call in load.calls) > RATE, "calls are answered")
        yield load
    finally:
        load.stopping = True
        thread.join(60)


def kill_service(name: str) -> Callable[[ContainerdBox], None]:
    def kill(box: ContainerdBox) -> None:
        before = box.services()
        os.kill(before[name], signal.SIGKILL)
        box.until(lambda: box.services().get(name) not in {None, before[name]}, f"another {name}")
        wait_until_whole(box, before)

    return kill


def kill_node(box: ContainerdBox) -> None:
    """What runs under it ends, but for workers and containerd; a service manager starts it again, as here."""
    before = box.services()
    os.kill(before["supervisor"], signal.SIGKILL)
    box.until(lambda: box.status()["state"] == "stopped", "its guard has seen it")
    box.up()
    wait_until_whole(box, before)


def wait_until_whole(box: ContainerdBox, before: dict[str, int]) -> None:
    box.until(lambda: box.services().keys() >= before.keys(), "all services run")
    box.until(lambda: box.health().get("status") == "ok", "the gateway is well")


def kill_shim(box: ContainerdBox) -> None:
    os.kill(box.shims()[0], signal.SIGKILL)


FAULTS = {
    "agent": (kill_service("agent"), Kind.AGENT),
    "shim": (kill_shim, Kind.WORKER),
    "containerd": (kill_service("containerd"), Kind.AGENT),
    "esb-node": (kill_node, Kind.GATEWAY_KILL),
}


@pytest.mark.parametrize("part", FAULTS)
def test_a_part_that_is_killed_under_load_comes_back(shop: Shop, part: str) -> None:
    box = shop.box
    box.until(box.balanced, f"calm before: {box.parts()}")
    kill, kind = FAULTS[part]
    with loaded(box, first=1000 * (1 + list(FAULTS).index(part))) as load:
        begin = time.monotonic()
        kill(box)
        end = time.monotonic()
        time.sleep(CALM_SECONDS)
        before = len(load.calls)
        box.until(lambda: sum(call.right for call in load.calls[before:]) > RATE, "it serves again")
    counts = count_calls(load.calls, [Disturbance(kind, begin, end)])
    print(part, f"whole after {end - begin:.2f} s", *((c.target, c.sent, dict(c.verdicts)) for c in counts))
    assert {c.target: c.examples for c in counts if c.examples} == {}
    assert sum(c.verdicts[Verdict.ANSWERED] for c in counts) > 2 * RATE
    accepted = {call.number for call in load.calls if call.target == "event" and call.right}
    box.until(lambda: accepted <= shop.delivered, "every accepted event is delivered")
    box.until(box.balanced, f"as much of each part as there are workers, at last {box.parts()}")


def test_after_a_power_cut_the_last_functions_serve_without_a_registry(
    tmp_path: Path, lambda_client: Callable[[Any], AbstractContextManager[Any]]
) -> None:
    """Those too that nobody had called before."""
    with opened(tmp_path) as shop:
        box = shop.box
        generation = box.apply({"step-0": "step-1"})
        box.until(lambda: box.health().get("generation") == generation, "the second generation is served")
        box.until(lambda: box.health().get("images") == {"there": 4, "missing": []}, "all images are there")
        with lambda_client(box) as client:
            for number in range(30):
                payload = json.dumps({"number": number})
                sent = client.invoke(FunctionName="Record", InvocationType="Event", Payload=payload)
                assert sent["StatusCode"] == 202
        shop.unplug()
        box.cut_power()
        box.up()
        box.until(lambda: answered(box) == b"step-1", "what was applied last is served again")
        assert box.health()["generation"] == generation
        with lambda_client(box) as client:
            unused = client.invoke(FunctionName="Unused", Payload=b'{"number": 21}')
            assert json.load(unused["Payload"]) == {"number": 21, "twice": 42}
        box.until(lambda: set(range(30)) <= shop.delivered, "every accepted event is delivered")
        box.until(box.balanced, f"as much of each part as there are workers: {box.parts()}")


def answered(box: ContainerdBox) -> bytes:
    """What the function says of its generation."""
    try:
        with urllib.request.urlopen(f"{box.url}/web/step", timeout=30) as answer:
            return bytes(answer.read())
    except OSError as error:
        return str(error).encode()
