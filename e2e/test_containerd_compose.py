"""The box of docker-compose.containerd.yml, brought up for real: what serves, comes back, is left."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from string import Template
from typing import Any

import pytest
from artifact_contract.runtime_identity import resolve_identity
from faults.remains import Box
from runner.matrix import Requirement
from runner.probes import missing
from scenario.client import Client, until

pytestmark = pytest.mark.gate

ROOT = Path(__file__).resolve().parent.parent
ARTIFACT = ROOT / "e2e" / "artifacts" / "e2e-containerd"
FILES = "docker-compose.containerd.yml", "e2e/environments/containerd-compose/compose.override.yml"
REGISTRY = "127.0.0.1:5010"
PYTHON_BASE, NODE_BASE = f"{REGISTRY}/esb-python:3.11", f"{REGISTRY}/esb-node-base:3.11"
LAMBDA, LAMBDA_BASE = "public.ecr.aws/lambda/python:3.12", f"{REGISTRY}/lambda-python:3.12"
NEEDS = [
    *(Requirement(kind, "") for kind in ("linux", "root", "docker", "buildx", "compose")),
    Requirement("registry", REGISTRY),
    *(Requirement("image", name) for name in (LAMBDA_BASE, PYTHON_BASE, NODE_BASE)),
]
SUBNETS = list(IPv4Network("10.214.0.0/16").subnets(new_prefix=24))
SECONDS = 300.0


class Site:
    """One box of this test, and everything that has its mark."""

    def __init__(self, home: Path, images: dict[str, str]) -> None:
        self.mark = f"cc{secrets.token_hex(4)}"
        self.config = home / "config"
        self.config.mkdir()
        self.identity = resolve_identity({"ESB_BRAND_SLUG": self.mark})
        self.subnet = secrets.choice(SUBNETS)
        self.address, self.port = str(self.subnet[1]), free_port()
        self.client = Client(f"http://{self.address}:{self.port}")
        # No variable of the shell that runs this: only what is here.
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "COMPOSE_DISABLE_ENV_FILE": "1",
            "COMPOSE_FILE": ":".join(FILES),
            "COMPOSE_PROJECT_NAME": self.mark,
            "CONFIG_DIR": str(self.config),
            "CONTAINER_REGISTRY": REGISTRY,
            "HOST_REGISTRY_ADDR": REGISTRY,
            "ESB_ACCESS_KEY_ID": "containerd-compose",
            "ESB_SECRET_ACCESS_KEY": secrets.token_hex(20),
            "ESB_BRAND_SLUG": self.mark,
            "ESB_CNI_SUBNET": str(self.subnet),
            "ESB_BRIDGE_ADDRESS": self.address,
            "ESB_GATEWAY_PORT": str(self.port),
            **images,
        }

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command; a failure shows what it and the box said."""
        done = subprocess.run(
            words,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        if check and done.returncode:
            logs = "" if "logs" in words else self.compose("logs", "--no-color", "--tail", "100", check=False)
            pytest.fail(f"{' '.join(words)} → {done.returncode}\n{done.stdout}\n{done.stderr}\n{logs}")
        return done.stdout

    def compose(self, *words: str, check: bool = True) -> str:
        """`docker compose` for this box."""
        return self.run("docker", "compose", *words, check=check)

    def tasks(self) -> dict[str, str]:
        """The functions' workers that run, each with its process."""
        socket_ = "/var/lib/esb/run/containerd/containerd.sock"
        asked = ("ctr", "--address", socket_, "--namespace", self.identity.namespace, "tasks", "ls")
        lines = self.compose("exec", "-T", "runtime-node", *asked).splitlines()[1:]
        return {name: pid for name, pid, state in map(str.split, lines) if state == "RUNNING"}

    def restarted(self, service: str) -> int:
        """How often the engine has started a service again."""
        (container,) = self.compose("ps", "--quiet", service).split()
        return int(self.run("docker", "inspect", "--format", "{{.RestartCount}}", container))

    def kill(self, service: str) -> None:
        """End a service's first process, as a fault does: a `docker kill` would count as wanted."""
        (container,) = self.compose("ps", "--quiet", service).split()
        os.kill(int(self.run("docker", "inspect", "--format", "{{.State.Pid}}", container)), signal.SIGKILL)

    def call(self, action: str, **more: object) -> dict[str, Any]:
        """POST to the fixture's REST contract."""
        answer = self.client.post("/api/connectivity/python", {"action": action, **more})
        assert answer.status == 200, answer
        return dict(answer.json())

    def serves(self) -> bool:
        """Whether a function answers."""
        try:
            return (
                self.client.post("/api/connectivity/python", {"action": "echo", "message": "?"}).status == 200
            )
        except OSError:
            return False

    def left(self) -> list[str]:
        """What engine and host still have of this box."""
        kinds = {"ps --all": "{{.Names}}", "network ls": "{{.Name}}", "volume ls": "{{.Name}}"}
        found = [
            f"{kind.split()[0]} {name}"
            for kind, form in kinds.items()
            for name in self.run("docker", *kind.split(), "--format", form).split()
            if name.startswith(self.mark)
        ]
        return found + Box(self.mark, self.identity.bridge, ()).remains()

    def remove(self) -> None:
        """Take everything away, wherever the test stopped."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", check=False)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    """The services' images, by the variables that name them."""
    if lacking := missing(NEEDS):
        if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
            pytest.fail(f"engines are required here, but: {'; '.join(lacking)}")
        pytest.skip(f"no such box on this host: {'; '.join(lacking)}")
    bases = ("--mode", "containerd", "--base", PYTHON_BASE, "--node-base", NODE_BASE)
    built = subprocess.run(
        [sys.executable, "scripts/build_service_images.py", "--registry", REGISTRY, *bases],
        cwd=ROOT,
        env={**os.environ, "ESB_BRAND_SLUG": "containerd-compose"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert built.returncode == 0, built.stderr
    found = dict(line.split("=", 1) for line in built.stdout.split())
    # As a shell or compose reads these lines.
    return {name: Template(value).substitute(found) for name, value in found.items()}


def connectivity(place: Path) -> Path:
    """Of the gate's artifact its first template alone: what is tested here is the box."""
    shutil.copytree(ARTIFACT, place)
    manifest = place / "artifact.yml"
    head, first, *_ = manifest.read_text().split("  - id: ")
    manifest.write_text(f"{head}  - id: {first}")
    return manifest


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, images: dict[str, str]) -> Iterator[Site]:
    """A box that serves the fixtures' connectivity template; `down` leaves nothing of it."""
    home = tmp_path_factory.mktemp("site")
    artifact = ("--artifact", str(connectivity(home / "artifact")))
    site = Site(home, images)
    try:
        site.compose("up", "--detach", "--wait")
        override = f"{LAMBDA}={LAMBDA_BASE}"
        site.run(
            "artifactctl", "prepare-images", *artifact, "--target", "registry", "--image-override", override
        )
        site.run("artifactctl", "apply", *artifact, "--out", str(site.config))
        site.compose("--profile", "deploy", "run", "--rm", "--no-deps", "provisioner")
        until(site.serves, "a function answers", 120)
        yield site
    finally:
        site.remove()
        assert site.left() == []


def test_functions_reach_stores_and_gateway_by_the_names_of_the_box(site: Site) -> None:
    assert site.call("echo", message="grün ✓")["message"] == "grün ✓"
    assert site.call("dynamodb_put", id="1", value="kept")["item"] == {"id": "1", "value": "kept"}
    assert site.call("s3_put", key="1", body="kept")["body"] == "kept"
    assert site.call("chain_invoke", message="on")["target"]["message"] == "on"
    health = site.client.get("/health").json()
    assert (health["status"], health["agent"]["driver"]) == ("ok", "containerd")


def test_workers_outlive_agent_and_gateway(site: Site) -> None:
    before = site.tasks()
    assert before
    site.compose("restart", "agent")
    site.kill("gateway")
    until(lambda: site.restarted("gateway") == 1, "the gateway is started again", 120)
    until(site.serves, "a function answers again", 120)
    assert site.tasks() == before

    site.kill("agent")
    until(lambda: site.restarted("agent") == 1, "the agent is started again", 120)
    until(site.serves, "a function answers again", 120)
    assert site.tasks() == before


def test_a_node_that_is_killed_takes_its_workers_along_and_comes_back_by_itself(site: Site) -> None:
    before = site.tasks()
    site.kill("runtime-node")
    until(lambda: site.restarted("runtime-node") == 1, "the node is started again", 120)
    until(site.serves, "a function answers again", 120)
    assert site.call("chain_invoke", message="on")["target"]["message"] == "on"
    assert not set(site.tasks()) & set(before)
    assert site.client.get("/health").json()["agent"]["problems"] == []
