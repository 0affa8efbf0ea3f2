"""The real box: data plane, agent, gateway and provisioner of this environment, as a person starts them."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from esb_node.parts import AGENT, DATA_PLANE, GATEWAY

NEEDED = ("esb_agent", "esb_gateway", "esb_provisioner", "moto", "flask")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; needs esb-runtime-node[embedded]"
)

RESOURCES = """
resources:
  dynamodb:
    - TableName: orders
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
  s3:
    - BucketName: files
"""


def node(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "esb_node", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class Box:
    def __init__(self, state):
        self.state = state

    def apply(self, generation):
        """What an apply does, as far as the box can see it."""
        directory = self.state / "config" / "generations" / generation
        directory.mkdir(parents=True)
        (directory / "functions.yml").write_text("functions: {}\n")
        (directory / "routing.yml").write_text("routes: []\n")
        (directory / "resources.yml").write_text(RESOURCES)
        (directory / "image-import.json").write_text('{"version": "1", "images": []}')
        link = self.state / "config" / "next"
        link.symlink_to(f"generations/{generation}")
        link.replace(self.state / "config" / "current")

    def status(self):
        return json.loads(node("status", "--state", self.state, "--output", "json").stdout)

    def until(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition(state := self.status()):
            assert time.monotonic() < deadline, state
            time.sleep(0.1)
        return state

    def health(self):
        with urllib.request.urlopen(f"{self.status()['urls'][GATEWAY]}/health", timeout=10) as answer:
            return json.load(answer)


@pytest.fixture
def box(tmp_path):
    made = Box(tmp_path / "box")
    yield made
    node("down", "--state", made.state)


def made_secrets(state):
    lines = (state / "gateway" / "credentials.yml").read_text().splitlines()
    values = {value.strip() for name, _, value in (line.partition(": ") for line in lines)}
    return {value for value in values if len(value) > 22}


def service(state, name):
    return next(service for service in state["services"] if service["name"] == name)


def pids(state):
    return [state["supervisor_pid"], *(service["pid"] for service in state["services"])]


def test_a_box_comes_up_serves_provisions_recovers_and_goes_down(box, gone):
    box.apply("000001")
    up = node("up", "--state", box.state, "--detach")
    assert up.returncode == 0, up.stderr
    assert f"credentials made: {box.state}/gateway/credentials.yml" in up.stderr
    assert made_secrets(box.state) & set((up.stdout + up.stderr).split()) == set(), "not to a pipe"
    assert "provisioned: generation 000001, 2 created" in up.stdout
    assert box.health()["generation"] == "000001"

    refused = node("up", "--state", box.state)
    assert refused.returncode == 4
    assert "is up already" in refused.stderr

    box.apply("000002")
    box.until(lambda s: s["provisioner"]["generation"] == "000002" and s["provisioner"]["state"] == "done")
    assert box.status()["provisioner"]["counts"] == {"existing": 2}

    before = box.status()
    os.kill(service(before, DATA_PLANE)["pid"], signal.SIGKILL)
    after = box.until(
        lambda s: service(s, DATA_PLANE)["restarts"] == 1 and s["provisioner"]["counts"] == {"created": 2}
    )
    assert after["urls"] == before["urls"]

    os.kill(service(after, AGENT)["pid"], signal.SIGKILL)
    box.until(lambda s: s["state"] == "ready" and service(s, AGENT)["restarts"] == 1)
    deadline = time.monotonic() + 20
    while box.health()["status"] != "ok":
        assert time.monotonic() < deadline
        time.sleep(0.1)

    running = pids(box.status())
    assert node("down", "--state", box.state).returncode == 0
    gone(running)
    assert box.status()["state"] == "stopped"
    assert (box.state / "logs" / "gateway.log").stat().st_size > 0
    logs = "".join(path.read_text() for path in (box.state / "logs").iterdir())
    assert [secret for secret in made_secrets(box.state) if secret in logs] == []


def test_kill_minus_nine_of_the_supervisor_leaves_nothing_of_the_real_services(box, gone):
    assert node("up", "--state", box.state, "--detach").returncode == 0
    state = box.status()
    os.kill(state["supervisor_pid"], signal.SIGKILL)
    gone(pids(state))
    box.until(lambda s: s["state"] == "stopped")
    again = node("up", "--state", box.state, "--detach")
    assert again.returncode == 0, again.stderr
    assert box.status()["urls"] == state["urls"]
