"""Fixtures of the gate: built wheels, fresh environments, clean checkouts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from faults.real_box import RealBox

ROOT = Path(__file__).resolve().parent.parent
# Scenarios need a box that run_tests.py has brought up; artifacts and fixtures hold functions, no tests.
collect_ignore = ["artifacts", "fixtures", *([] if "ESB_E2E_PROFILE" in os.environ else ["scenarios"])]


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long `test_fuzz.py` looks."""
    parser.addoption("--fuzz-seconds", type=float, default=25.0, help="seconds of fuzzing the gateway")


def pytest_configure() -> None:
    """Let Ctrl-C mean something: a shell's background job ignores it, and all that it starts would too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout the tests run from."""
    return ROOT


@pytest.fixture(scope="session")
def uv() -> str:
    """The uv that the bootstrap script found or installed."""
    local = ROOT / ".tools" / "uv" / "bin" / "uv"
    found = str(local) if local.exists() else shutil.which("uv")
    assert found, "make dev brings uv"
    return found


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory, uv: str) -> Path:
    """A directory with the wheel of every member, built from the checkout."""
    out = tmp_path_factory.mktemp("wheels")
    for pyproject in [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]:
        run(uv, "build", "--quiet", "--wheel", "--out-dir", out, pyproject.parent)
    return out


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory, uv: str, wheels: Path) -> Callable[..., Path]:
    """A function that installs distributions from their wheels into a fresh environment; returns its bin/."""

    def install(*requirements: str) -> Path:
        home = tmp_path_factory.mktemp("env")
        run(uv, "venv", "--quiet", "--python", sys.executable, home)
        run(
            *(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", home / "bin" / "python"),
            *("--find-links", wheels, "--constraints", ROOT / "requirements.lock", *requirements),
            # A wheel of the same version may be in uv's cache from an earlier run.
            *(word for package in ROOT.glob("packages/*") for word in ("--refresh-package", package.name)),
        )
        return home / "bin"

    return install


@pytest.fixture
def clean_clone(tmp_path: Path) -> Path:
    """What `git clone` gives of the committed state."""
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, clone)
    return clone


def run(*command: object, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a command; a failure shows what it printed."""
    words = [str(word) for word in command]
    environ = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    options = {"env": environ, "timeout": 600, **options}
    done = subprocess.run(words, check=False, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if check and done.returncode != 0:
        pytest.fail(f"{' '.join(words)} → {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture(scope="session")
def lambda_client() -> Callable[[RealBox], AbstractContextManager[Any]]:
    """A function that gives boto3's Lambda client for a box, with the operator's keys; it asks once."""

    @contextmanager
    def connect(box: RealBox) -> Iterator[Any]:
        key, secret = box.operator()
        client = boto3.client(
            "lambda",
            endpoint_url=box.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=40),
        )
        try:
            yield client
        finally:
            client.close()

    return connect


@pytest.fixture(name="run")
def run_fixture() -> Callable[..., subprocess.CompletedProcess[str]]:
    """The runner above, for tests."""
    return run
