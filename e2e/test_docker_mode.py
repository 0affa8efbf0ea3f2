"""Gateway, agent and a real engine, without compose: what callers see of failures and of restarts."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from bench_docker import BASE, docker, free_port, wait_for, why_not
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

pytestmark = pytest.mark.gate

FUNCTION = """
import os, sys, time
print("initialised")
def handler(event, context):
    what = event.get("do")
    if what == "fail": raise ValueError("as told")
    if what == "exit": sys.exit(3)
    if what == "kill": os.kill(os.getpid(), 9)
    if what == "sleep": time.sleep(event["seconds"])
    if what == "eat": return len([b"x" * 1048576 for _ in range(400)])
    if what == "long": return "x" * 7 * 2**20
    return {"request": context.aws_request_id, "host": os.uname().nodename}
"""


class DockerBox:
    """A gateway and an agent over this host's engine."""

    def __init__(self, place: Path, ref: str) -> None:
        self.place, self.environment = place, f"e2e{secrets.token_hex(4)}"
        self.port, self.network = free_port(), f"esb-{self.environment}"
        (place / "config").mkdir()
        (place / "config" / "functions.yml").write_text(
            "functions:\n"
            f"  wild: {{image: {ref}, memory_size: 256, timeout: 2, scaling: {{max_capacity: 2}}}}\n"
            f"  hungry: {{image: {ref}, memory_size: 128, timeout: 10}}\n"
            f"  broken: {{image: {ref}, handler: nothing.handler, timeout: 2}}\n"
        )
        (place / "config" / "routing.yml").write_text("routes: []\n")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *parts: str) -> None:
        address = f"unix:{self.place}/agent.sock"
        keys = {"AWS_ACCESS_KEY_ID": "ESBTEST", "AWS_SECRET_ACCESS_KEY": "of-no-use-elsewhere"}
        own = {
            "agent": {
                "ESB_AGENT_STATE_DIR": f"{self.place}/agent",
                "ESB_AGENT_DRIVER": "docker",
                "ESB_BRAND_SLUG": "esb",
                "ESB_ENV": self.environment,
                "ESB_DOCKER_NETWORK": self.network,
                "ESB_IMAGE_PULL": "never",
            },
            "gateway": {
                "ESB_CONFIG_DIR": f"{self.place}/config",
                "ESB_GATEWAY_STATE_DIR": f"{self.place}/gateway",
                "ESB_GATEWAY_PORT": str(self.port),
                **keys,
            },
        }
        for part in parts:
            environ = {"PATH": os.environ["PATH"], "ESB_AGENT_ADDRESS": address, **own[part]}
            with (self.place / f"{part}.log").open("ab") as log:
                self.processes[part] = subprocess.Popen(
                    [sys.executable, "-m", f"esb_{part}"], env=environ, stderr=log
                )

    def stop(self, part: str, number: int = signal.SIGTERM) -> None:
        process = self.processes.pop(part)
        process.send_signal(number)
        process.wait(60)

    def containers(self) -> list[str]:
        return docker("ps", "-aq", "--filter", f"label=io.esb.env={self.environment}").split()

    def remove(self) -> None:
        for part in list(self.processes)[::-1]:
            self.stop(part)
        if left := self.containers():
            docker("rm", "--force", *left)
        docker("network", "rm", self.network)

    def client(self) -> Any:
        config = Config(retries={"total_max_attempts": 1}, read_timeout=60, max_pool_connections=20)
        return boto3.client(
            "lambda",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="ESBTEST",
            aws_secret_access_key="of-no-use-elsewhere",
            config=config,
        )


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if reason := why_not(BASE):
        if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("image")
    (place / "app.py").write_text(FUNCTION)
    (place / "Dockerfile").write_text(f'FROM {BASE}\nCOPY app.py /var/task/\nCMD ["app.handler"]\n')
    ref = f"esb-test-wild:{secrets.token_hex(4)}"
    docker("build", "--quiet", "--tag", ref, str(place))
    yield ref
    docker("rmi", "--force", ref)


@pytest.fixture
def box(image: str, tmp_path: Path) -> Iterator[DockerBox]:
    made = DockerBox(tmp_path, image)
    made.start("agent", "gateway")
    try:
        wait_for(lambda: _answers(made), "the box")
        yield made
    finally:
        made.remove()
    assert made.containers() == []


def _answers(box: DockerBox) -> bool:
    try:
        return bool(invoke(box.client())[1]["host"])
    except (BotoCoreError, ClientError):
        return False


def _listens(box: DockerBox) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(box.place / "agent.sock")) == 0


def invoke(client: Any, function: str = "wild", **event: Any) -> tuple[str, Any]:
    """What the function says: its error's kind ("" for none) and its payload."""
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event))
    return answer.get("FunctionError", ""), json.loads(answer["Payload"].read())


def host(box: DockerBox) -> str:
    error, payload = invoke(box.client())
    assert not error
    return str(payload["host"])


def test_every_way_to_fail_is_told_as_lambda_does_and_spoils_no_later_call(box: DockerBox) -> None:
    client = box.client()
    first = host(box)
    error, payload = invoke(client, do="fail")
    assert (error, payload["errorType"], payload["errorMessage"]) == ("Unhandled", "ValueError", "as told")
    assert host(box) == first  # a function's own error costs no worker
    for do, kind in (
        ("exit", "Runtime.ExitError"),
        ("kill", "Runtime.ExitError"),
        ("long", "Function.ResponseSizeTooLarge"),
        ("sleep", "Sandbox.Timedout"),
    ):
        error, payload = invoke(client, do=do, seconds=10)
        assert (error, payload["errorType"]) == ("Unhandled", kind)
        following = host(box)
        assert following != first, f"the worker went on after {do}"
        first = following
    # In a first call, which has all CPUs: filling memory at a tenth of one takes longer than any timeout.
    error, payload = invoke(client, "hungry", do="eat")
    assert (error, payload["errorType"]) == ("Unhandled", "Runtime.ExitError")
    error, payload = invoke(client, "broken")
    assert (error, payload["errorType"]) == ("Unhandled", "Runtime.ImportModuleError")


def test_an_emulator_never_gets_two_calls_at_once(box: DockerBox) -> None:
    client = box.client()
    events = [{"do": "sleep", "seconds": 0.02}] * 60 + [{"do": "sleep", "seconds": 10}, {"do": "exit"}] * 2

    def one(number: int) -> tuple[str, str]:
        error, payload = invoke(client, **events[number * 7 % len(events)])
        return error, payload.get("errorType", "")

    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(one, range(len(events))))
    assert seen.count(("", "")) == 60
    assert seen.count(("Unhandled", "Sandbox.Timedout")) == 2
    assert seen.count(("Unhandled", "Runtime.ExitError")) == 2
    assert len(seen) == 64
    # An emulator whose calls overlap ends by itself.
    told = [json.loads(line) for line in (box.place / "agent.log").read_text().splitlines()]
    assert {line["reason"] for line in told if line["event"] == "worker ended"} == {"destroyed"}


def test_a_container_that_dies_while_idle_costs_no_call(box: DockerBox) -> None:
    first = host(box)
    docker("kill", first)
    deadline = time.monotonic() + 10
    assert host(box) != first
    assert time.monotonic() < deadline


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_outlive_their_agent_and_their_gateway(box: DockerBox, number: int) -> None:
    first = host(box)
    box.stop("agent", number)
    assert host(box) == first  # a call needs no agent
    box.start("agent")
    # A gateway that finds no agent serves a call with a new worker rather than none.
    wait_for(lambda: _listens(box), "the next agent")
    box.stop("gateway", number)
    box.start("gateway")
    wait_for(lambda: _answers(box), "the next gateway")
    assert host(box) == first
    assert len(box.containers()) == 1


def test_a_gateway_that_dies_amid_a_call_leaves_a_worker_that_is_not_called_too_early(box: DockerBox) -> None:
    first = host(box)
    with ThreadPoolExecutor(1) as threads:
        lost = threads.submit(invoke, box.client(), do="sleep", seconds=1.5)
        time.sleep(0.4)
        box.stop("gateway", signal.SIGKILL)
        box.start("gateway")
        wait_for(lambda: _answers(box), "the next gateway")
        assert lost.exception() is not None
    assert host(box)
    assert docker("inspect", "--format", "{{.State.Running}}", first) == "true"
