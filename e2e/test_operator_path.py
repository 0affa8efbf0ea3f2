"""The operator's path in Docker mode: the commands of docs/artifact-operations.md, run as they stand there.

The page's `sh` blocks of that section are the script. Nothing is given to them but what differs from site to
site, in the environment: a registry, a redirected base, the images of the services, names and ports.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Template

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "artifact-operations.md"
SECTION = "## Docker mode, step by step"
ARTIFACT = ROOT / "e2e" / "artifacts" / "e2e-docker" / "artifact.yml"
OVERRIDE = ROOT / "e2e" / "environments" / "e2e-docker" / "compose.override.yml"
REGISTRY = "127.0.0.1:5010"
PYTHON_BASE, LAMBDA_BASE = f"{REGISTRY}/esb-python:3.11", f"{REGISTRY}/lambda-python:3.12"
SOCKET = Path("/var/run/docker.sock")
SECONDS = 300

pytestmark = pytest.mark.gate


def blocks() -> list[str]:
    """The commands of the section, a block each, in order."""
    section = PAGE.read_text().partition(SECTION)[2].partition("\n## ")[0]
    found = re.findall(r"^( *)```sh\n(.*?)^ *```$", section, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in found]


def missing() -> str:
    """What this host lacks, or nothing."""
    for words in (["docker", "version"], ["docker", "compose", "version"], ["docker", "buildx", "version"]):
        if not shutil.which("docker") or subprocess.run(words, capture_output=True, check=False).returncode:
            return f"`{' '.join(words)}` fails"
    for base in (PYTHON_BASE, LAMBDA_BASE):
        name, _, tag = base.removeprefix(f"{REGISTRY}/").partition(":")
        try:
            urllib.request.urlopen(f"http://{REGISTRY}/v2/{name}/tags/list", timeout=5).close()
        except OSError as error:
            return f"no {name}:{tag} in {REGISTRY}: {error}"
    return "" if shutil.which("curl") else "no curl"


@pytest.fixture(scope="module")
def engine() -> None:
    """An engine, a registry, and the base images; e2e/setup-host.sh brings them."""
    if lacking := missing():
        if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
            pytest.fail(f"engines are required here, but {lacking}")
        pytest.skip(f"no Docker mode on this host ({lacking}); e2e/setup-host.sh brings it")


@pytest.fixture(scope="module")
def images(engine: None) -> dict[str, str]:
    """The services' images, by the variables that name them."""
    built = subprocess.run(
        [sys.executable, "scripts/build_service_images.py", "--registry", REGISTRY, "--base", PYTHON_BASE],
        cwd=ROOT,
        env={**os.environ, "ESB_BRAND_SLUG": "operator-path"},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert built.returncode == 0, built.stderr
    found = dict(line.split("=", 1) for line in built.stdout.split())
    # As a shell or compose reads these lines.
    return {name: Template(value).substitute(found) for name, value in found.items()}


class Site:
    """One box of this test, and everything that has its mark."""

    def __init__(self, home: Path, tools: Path, images: dict[str, str]) -> None:
        self.mark = f"operator-{secrets.token_hex(4)}"
        self.config = home / "config"
        self.port = free_port()
        # No variable of the shell that runs this: only what is here.
        self.environment = {
            "PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "COMPOSE_DISABLE_ENV_FILE": "1",
            "COMPOSE_FILE": f"docker-compose.docker.yml:{OVERRIDE.relative_to(ROOT)}",
            "COMPOSE_PROJECT_NAME": self.mark,
            "ARTIFACT": str(ARTIFACT),
            "CONFIG_DIR": str(self.config),
            "CONTAINER_REGISTRY": REGISTRY,
            "HOST_REGISTRY_ADDR": REGISTRY,
            "IMAGE_OVERRIDES": " ".join(f"--image-override {name}={LAMBDA_BASE}" for name in outside_bases()),
            "ESB_SITE_SERVICES": "s3 dynamodb",
            "ESB_ACCESS_KEY_ID": "operator-path",
            "ESB_SECRET_ACCESS_KEY": secrets.token_hex(20),
            "DOCKER_GID": str(SOCKET.stat().st_gid),
            "ESB_NETWORK": self.mark,
            "ESB_BRAND_SLUG": self.mark,
            "ESB_GATEWAY_PORT": str(self.port),
            "FUNCTION": "connectivity-target",
            "PAYLOAD": '{"message": "by hand"}',
            **images,
        }

    def run(self, block: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run commands as a person's shell would, but stop at the first that fails."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=ROOT,
            env={**self.environment, **changed},
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def left(self) -> list[str]:
        """What the engine still has of this box."""
        kinds = {"ps --all": "{{.Names}}", "network ls": "{{.Name}}", "volume ls": "{{.Name}}"}
        return [
            f"{kind.split()[0]} {name}"
            for kind, form in kinds.items()
            for name in self.run(f"docker {kind} --format '{form}'").stdout.split()
            if name.startswith(self.mark)
        ]

    def remove(self) -> None:
        """Take everything away, wherever the path stopped."""
        workers = f"docker ps --all --quiet --filter label=io.esb.brand={self.mark}"
        self.run("docker compose --profile '*' kill || true")
        self.run(f"{workers} | xargs --no-run-if-empty docker rm --force --volumes")
        self.run("docker compose --profile '*' down --volumes --remove-orphans --timeout 2")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def outside_bases() -> set[str]:
    """What the artifact's images are FROM and this host can't pull: each is redirected to the one it has."""
    found = set()
    for dockerfile in ARTIFACT.parent.rglob("Dockerfile"):
        text = dockerfile.read_text().replace("${PYTHON_VERSION}", "3.12")
        found |= {name for name in re.findall(r"^FROM (\S+)", text, re.MULTILINE) if REGISTRY not in name}
    return found


@pytest.fixture
def site(tmp_path: Path, install: Callable[..., Path], images: dict[str, str]) -> Iterator[Site]:
    """A place for one box; only artifactctl is on its PATH, and nothing is left of it afterwards."""
    site = Site(tmp_path, install("artifactctl"), images)
    try:
        yield site
    finally:
        site.remove()
        assert site.left() == []


def test_the_page_leads_from_an_artifact_to_an_answered_call_and_back(site: Site) -> None:
    *path, remove = blocks()
    words = [
        "validate-id",
        "prepare-images",
        "apply",
        "run --rm --no-deps provisioner",
        "up --detach --wait",
        "curl",
    ]
    places = [next(n for n, block in enumerate(path) if n and word in block) for word in words]
    assert places == sorted(places)

    answers = []
    for block in path:
        done = site.run(block)
        logs = site.run("docker compose logs").stdout if done.returncode else ""
        assert done.returncode == 0, f"{block}{done.stdout}{done.stderr}{logs}"
        answers.append(done.stdout)
    health, answer = json.loads(answers[-2]), json.loads(answers[-1])
    assert health["status"] == "ok"
    assert health["generation"] == (site.config / "current").readlink().name
    assert answer == {"function": "connectivity-target", "message": "by hand"}
    workers = site.run(f"docker ps --quiet --filter label=io.esb.brand={site.mark}").stdout.split()
    assert workers, "the call was answered by a container"

    # The steps may be taken again; nothing changes.
    for block in path[1:5]:
        assert site.run(block).returncode == 0
    assert health["generation"] == (site.config / "current").readlink().name
    assert site.run(path[-1]).returncode == 0

    done = site.run(remove)
    assert done.returncode == 0, done.stderr
    assert [name for name in site.left() if not name.startswith("volume")] == []


def test_the_provisioners_exit_code_is_the_commands(site: Site, tmp_path: Path) -> None:
    provision = next(block for block in blocks() if "provisioner" in block)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "functions.yml").write_text("functions: [\n")
    assert site.run(provision).returncode == 3

    (tmp_path / "config" / "functions.yml").write_text("functions: {}\n")
    (tmp_path / "config" / "routing.yml").write_text("routes: []\n")
    (tmp_path / "config" / "resources.yml").write_text("resources: {s3: [{BucketName: one}]}\n")
    no_store = site.run(f"{provision.strip()} --wait 1")
    assert no_store.returncode == 4, no_store.stderr
    assert "one" in no_store.stdout

    assert site.run(provision, CONFIG_DIR=str(tmp_path / "elsewhere")).returncode not in (0, 3, 4)
