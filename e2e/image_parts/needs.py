"""What a test needs of the host, and what e2e/setup-host.sh brings."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

SHARED_REGISTRY = "127.0.0.1:5010"
LAMBDA_BASE = f"{SHARED_REGISTRY}/lambda-python:3.12"
PUBLIC_BASE = "public.ecr.aws/lambda/python:3.12"
MIB = 1 << 20

MANIFESTS = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"


def require(there: bool, what: str) -> None:
    """Skip a test for what isn't there; a failure where ESB_REQUIRE_ENGINES=1."""
    if not there:
        missing = f"{what}: e2e/setup-host.sh, run as root, brings it"
        if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
            pytest.fail(missing)
        pytest.skip(missing)


def require_base() -> None:
    """The base image, and the program of the registry that holds it."""
    require(shutil.which("docker-registry") is not None, "no docker-registry")
    url = f"http://{SHARED_REGISTRY}/v2/lambda-python/manifests/3.12"
    require(status(url) == 200, f"no image {LAMBDA_BASE}")


def require_engine() -> None:
    """The container engine of this host."""
    command = ("docker", "version", "--format", "{{.Server.Version}}")
    require(shutil.which("docker") is not None, "no docker command")
    require(subprocess.run(command, check=False, capture_output=True).returncode == 0, "no container engine")


def require_root() -> None:
    """Mounts and network namespaces are made by root."""
    require(os.geteuid() == 0, "not root")


def status(url: str) -> int:
    """The status that a registry answers with, 0 when nobody does."""
    request = urllib.request.Request(url, headers={"Accept": MANIFESTS})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def wait_until(done: Callable[[], bool], seconds: float = 60) -> None:
    """Look often until it is so."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.005)
