"""`prepare-images` with a container engine and a registry that are really there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

MAIN = "import sys; from artifactctl.cli import main; sys.argv[0] = 'artifactctl'; main()"
REGISTRY = os.environ.get("ESB_TEST_REGISTRY", "127.0.0.1:5010")
LAMBDA = f"{REGISTRY}/lambda-python:3.12"
SITE = "registry.example:5010"
OVERRIDE = ("--image-override", f"public.ecr.aws/lambda/python:3.12={LAMBDA}")


def _missing() -> str:
    try:
        subprocess.run(["docker", "version"], capture_output=True, check=True, timeout=20)
        with urllib.request.urlopen(f"http://{REGISTRY}/v2/lambda-python/tags/list", timeout=5):
            return ""
    except (OSError, subprocess.SubprocessError) as error:
        return f"needs a container engine and the registry {REGISTRY} with lambda-python:3.12: {error}"


MISSING = _missing()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def name() -> Iterator[str]:
    """A prefix for repositories; what the engine has of them is removed."""
    prefix = f"artifactctl-test-{uuid4().hex[:8]}"
    yield prefix
    command = ["docker", "images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"]
    listed = subprocess.run(command, capture_output=True, check=True, text=True)
    lines = [line.split() for line in listed.stdout.splitlines() if prefix in line]
    # by name where there is one: an image may have names of others, too
    ours = {image if ref.endswith(":<none>") else ref for ref, image in lines}
    if ours:
        subprocess.run(["docker", "rmi", "--force", *ours], capture_output=True, check=True)


@pytest.fixture
def run(artifact: Any) -> Run:
    def run(*arguments: str, manifest: Path = artifact.manifest, code: int = 0) -> dict[str, Any]:
        text = manifest.read_text()
        if "mode: process" in text:
            manifest.write_text(text.replace("mode: process", "mode: docker"))
        command = [sys.executable, "-c", MAIN, "prepare-images", "--artifact", str(manifest)]
        environment = {**os.environ, "CONTAINER_REGISTRY": SITE, "HOST_REGISTRY_ADDR": REGISTRY}
        done = subprocess.run(
            [*command, *OVERRIDE, "--output", "json", *arguments],
            env=environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=240,
        )
        assert done.returncode == code, done.stderr
        return {**json.loads(done.stdout), "stderr": done.stderr}

    return run


def digests(result: dict[str, Any]) -> dict[str, str]:
    return {image["ref"]: image["digest"] for image in result["images"]}


def builders(result: dict[str, Any]) -> dict[str, str]:
    return {"".join(image["functions"]) or "base": image["builder"] for image in result["images"]}


def statuses(result: dict[str, Any]) -> set[str]:
    return {image["status"] for image in result["images"]}


def said_by(ref: str, command: str) -> str:
    done = subprocess.run(
        ["docker", "run", "--rm", "--entrypoint", "/bin/sh", ref, "-c", command],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def with_steps(artifact: Any, name: str, entry: str = "svc", base: str = "BASE = 1\n") -> Any:
    """An entry with a function that can be assembled and one that can't, on one base."""
    ref = f"{SITE}/{name}/esb-lambda-base:python3.12-{len(base):012d}"
    made = artifact.entry(entry).base(base)
    text = f"FROM {ref}\nCOPY functions/%s/src/ /var/task/\n"
    made.function("plain" + entry, text % ("plain" + entry), image=f"{SITE}/{name}/plain{entry}:1")
    run = "RUN cat /opt/esb/python/sitecustomize.py > /opt/said && mkdir /opt/made\n"
    made.function("built" + entry, text % ("built" + entry) + run, image=f"{SITE}/{name}/built{entry}:1")
    return made


def test_each_image_is_made_as_it_must_be_and_the_same_on_another_machine(
    artifact: Any, run: Run, name: str, tmp_path: Path
) -> None:
    with_steps(artifact, name)
    first = run()
    assert builders(first) == {"base": "direct", "plainsvc": "direct", "builtsvc": "buildx"}
    assert statuses(first) == {"built"}
    assert statuses(run()) == {"reused"}
    said = said_by(f"{REGISTRY}/{name}/builtsvc:1", "cat /opt/said /var/task/app.py; stat -c %Y /opt/made")
    assert said == "BASE = 1\nNAME = 'builtsvc'\n0\n"
    copy = tmp_path / "copy"
    shutil.copytree(artifact.directory, copy)
    for path in copy.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (5, 5))
    assert digests(run("--no-cache", manifest=copy / "artifact.yml")) == digests(first)


def test_a_base_that_needs_an_engine_takes_its_functions_along(artifact: Any, run: Run, name: str) -> None:
    entry = with_steps(artifact, name)
    dockerfile = entry.root / "runtime-base/runtime-hooks/python/docker/Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "RUN echo made > /opt/base\n")
    assert set(builders(run()).values()) == {"buildx"}
    assert said_by(f"{REGISTRY}/{name}/plainsvc:1", "cat /opt/base") == "made\n"
    failed = run("--builder", "direct", code=3)
    assert "runtime-hooks/python/docker/Dockerfile:5:1: RUN" in failed["stderr"]


@pytest.mark.parametrize("target", ["registry", "docker"])
def test_two_entries_with_different_bases_get_their_own(
    artifact: Any, run: Run, name: str, target: str
) -> None:
    with_steps(artifact, name, "one", "ONE = 1\n")
    with_steps(artifact, name, "two", "SECOND = 2\n")
    run("--target", target)
    registry = REGISTRY if target == "registry" else SITE
    for kind in ("plain", "built"):
        for entry, text in (("one", "ONE = 1\n"), ("two", "SECOND = 2\n")):
            ref = f"{registry}/{name}/{kind}{entry}:1"
            assert said_by(ref, "cat /opt/esb/python/sitecustomize.py") == text


def test_the_engine_gets_images_without_a_registry(artifact: Any, run: Run, name: str) -> None:
    with_steps(artifact, name)
    assert builders(run("--target", "docker")) == {
        "base": "direct",
        "plainsvc": "direct",
        "builtsvc": "buildx",
    }
    assert statuses(run("--target", "docker")) == {"reused"}
    for kind in ("plain", "built"):
        assert (
            said_by(f"{SITE}/{name}/{kind}svc:1", "cat $LAMBDA_TASK_ROOT/app.py") == f"NAME = '{kind}svc'\n"
        )


def test_a_failing_step_is_told_and_the_others_are_made(artifact: Any, run: Run, name: str) -> None:
    entry = with_steps(artifact, name)
    entry.function("bad", f"FROM {LAMBDA}\nRUN echo why; exit 3\n", image=f"{SITE}/{name}/bad:1")
    result = run(code=3)
    assert (result["built"], result["failed"]) == (3, 1)
    assert (
        "functions/bad/Dockerfile:2:1: RUN echo why; exit 3: expected a step that succeeds"
        in result["stderr"]
    )
    assert "error:     why" in result["stderr"]
    assert "Traceback" not in result["stderr"]


def test_an_image_function_is_built_on_what_is_imported(artifact: Any, run: Run, name: str) -> None:
    entry = artifact.entry()
    imported = f"{SITE}/{name}/imported:1"
    entry.function("f", f"FROM {imported}\nCOPY functions/f/src/ /opt/hooks/\n", image=f"{SITE}/{name}/f:1")
    document = {
        "version": "1",
        "push_target": SITE,
        "images": [{"function_name": "f", "image_source": LAMBDA, "image_ref": f"{name}/imported:1"}],
    }
    entry.write("runtime-config/image-import.json", json.dumps(document))
    result = run()
    assert sorted(image["builder"] for image in result["images"]) == ["direct", "import"]
    assert digests(result)[imported]
    assert said_by(f"{REGISTRY}/{name}/f:1", "cat /opt/hooks/app.py") == "NAME = 'f'\n"
    assert statuses(run()) == {"reused"}
    assert statuses(run("--target", "docker")) == {"built"}


def test_several_platforms_are_an_index_under_the_tag(artifact: Any, run: Run, name: str) -> None:
    entry = artifact.entry()
    entry.function("f", "FROM scratch\nCOPY functions/f/src/ /x/\n", image=f"{SITE}/{name}/f:1")
    (image,) = run("--platform", "linux/amd64,linux/arm64")["images"]
    assert image["platform"] == "linux/amd64,linux/arm64"
    accept = {"Accept": "application/vnd.oci.image.index.v1+json"}
    request = urllib.request.Request(f"http://{REGISTRY}/v2/{name}/f/manifests/1", headers=accept)
    with urllib.request.urlopen(request, timeout=10) as answer:
        index = json.load(answer)
    assert [one["platform"]["architecture"] for one in index["manifests"]] == ["amd64", "arm64"]
    assert statuses(run("--platform", "linux/amd64,linux/arm64")) == {"reused"}


def test_nothing_of_the_artifact_is_touched(artifact: Any, run: Run, name: str) -> None:
    with_steps(artifact, name)

    def seen() -> dict[str, tuple[int, int]]:
        found = artifact.directory.rglob("*")
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}

    run("--target", "docker", "--builder", "buildx")
    before = seen()
    run("--no-cache", "--builder", "buildx")
    assert seen() == before
