"""prepare-images on real parts that fail: it says what failed and ends with 4, and the next run completes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from image_parts.needs import MIB, SHARED_REGISTRY, require_base, require_engine, require_root, wait_until
from image_parts.places import engine_of_version, no_way_out, small_disk
from image_parts.project import Project
from image_parts.registry import Registry, running

pytestmark = pytest.mark.gate

# bcrypt of "right", for user "esb"
HTPASSWD = "esb:$2b$04$4ymc7CuNzH4GvU7h8PhXZuxIBJYwpE8tT41F678ffzZxOPF/3zCCe\n"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry of this test's own."""
    require_base()
    with running(Registry(tmp_path / "registry")) as started:
        yield started


@pytest.fixture
def project(tmp_path: Path) -> Callable[[str], Project]:
    """A function that gives a project whose images go to a registry."""
    (tmp_path / "project").mkdir()
    return lambda host: Project(tmp_path / "project", host)


def complete(registry: Registry, project: Project) -> None:
    """Every image is in the registry, with all its blobs."""
    for ref in project.images():
        assert registry.manifest(ref)


# --- the registry stops


def test_a_registry_that_dies_in_a_push_ends_the_run_and_the_next_completes(
    registry: Registry, project: Callable[[str], Project]
) -> None:
    demo = project(registry.host).generate("big", "small", payload=400 * MIB + 1)
    running_command = demo.begin_prepare()
    wait_until(lambda: registry.unfinished() > 100 * MIB)
    registry.kill()

    said = demo.finish(running_command, 60).failed_clearly()
    assert registry.host in said
    assert "is the registry running?" in said

    registry.start()
    demo.prepare().worked()
    complete(registry, demo)
    assert "reused" in demo.prepare().worked().out


def test_a_registry_that_is_back_soon_fails_nothing(
    registry: Registry, project: Callable[[str], Project]
) -> None:
    demo = project(registry.host).generate("big", "small", payload=400 * MIB + 1)
    running_command = demo.begin_prepare()
    wait_until(lambda: registry.unfinished() > 100 * MIB)
    registry.kill()
    registry.start()

    demo.finish(running_command, 120).worked()
    complete(registry, demo)


def test_a_registry_that_isnt_there_is_named(project: Callable[[str], Project], tmp_path: Path) -> None:
    require_base()
    nobody = Registry(tmp_path / "registry").host
    done = project(nobody).generate("small").prepare()
    said = done.failed_clearly()
    assert nobody in said
    assert "is the registry running?" in said
    assert done.seconds < 30


# --- a disk is full


def test_a_registry_with_a_full_disk_ends_the_run_and_the_next_completes(
    tmp_path: Path, project: Callable[[str], Project]
) -> None:
    require_base()
    require_root()
    registry = Registry(tmp_path / "registry")
    with small_disk(registry.directory, 120) as grow, running(registry):
        demo = project(registry.host).generate("big", "small", payload=200 * MIB + 1)
        said = demo.prepare().failed_clearly()
        assert registry.host in said
        assert "no space left on device" in said
        # the image with room is there
        registry.manifest(next(ref for ref in demo.images() if "small" in ref))

        grow(800)
        demo.prepare().worked()
        complete(registry, demo)


def test_a_layout_on_a_full_disk_ends_the_run_and_the_next_completes(
    tmp_path: Path, project: Callable[[str], Project]
) -> None:
    require_root()
    demo = project(SHARED_REGISTRY).generate("big", "small", payload=20 * MIB, mode="process")
    with small_disk(tmp_path / "disk", 8) as grow:
        target = f"oci-layout:{tmp_path / 'disk' / 'images'}"
        said = demo.prepare(target=target).failed_clearly()
        assert "No space left on device" in said

        grow(64)
        demo.prepare(target=target).worked()
        index = json.loads((tmp_path / "disk" / "images" / "index.json").read_text())
        names = {each["annotations"]["org.opencontainers.image.ref.name"] for each in index["manifests"]}
        assert set(demo.images()) <= names


# --- credentials


@pytest.fixture
def locked_registry(tmp_path: Path) -> Iterator[Registry]:
    """A registry that wants the user esb with the password right."""
    require_base()
    directory = tmp_path / "registry"
    directory.mkdir()
    (directory / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "faults", "path": str(directory / "htpasswd")}}
    with running(Registry(directory, auth=auth)) as started:
        yield started


@pytest.mark.parametrize("builder", ["direct", "buildx"])
@pytest.mark.parametrize("password", ["wrong-secret", ""])
def test_wrong_credentials_are_said_and_right_ones_complete(
    locked_registry: Registry, project: Callable[[str], Project], builder: str, password: str
) -> None:
    if builder == "buildx":
        require_engine()
    demo = project(locked_registry.host).generate("small")
    if password:
        log_in(demo, password)
    done = demo.prepare("--builder", builder)
    said = done.failed_clearly()
    assert locked_registry.host in said
    assert f"docker login {locked_registry.host}" in said
    assert "wrong-secret" not in done.out + said
    # nobody tries a password six times
    assert done.seconds < 20

    log_in(demo, "right")
    demo.prepare("--builder", builder).worked()


def log_in(project: Project, password: str) -> None:
    """What `docker login` leaves behind."""
    auth = base64.b64encode(f"esb:{password}".encode()).decode()
    file = project.home / ".docker" / "config.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"auths": {project.host: {"auth": auth}}}))


# --- size


def test_a_layer_of_more_than_two_gigabytes_is_pushed_in_little_memory_and_reused(
    registry: Registry, project: Callable[[str], Project]
) -> None:
    payload = 2049 * MIB + 1
    demo = project(registry.host).generate("big", payload=payload, sparse=True)
    first = demo.prepare().worked()
    (image,) = demo.images()
    sizes = [layer["size"] for layer in registry.manifest(image)["layers"]]  # type: ignore[attr-defined]
    assert max(sizes) > payload
    assert first.peak < 400 * MIB

    again = demo.prepare().worked()
    assert "reused" in again.out


def test_a_layer_of_files_without_padding_is_pushed(
    registry: Registry, project: Callable[[str], Project]
) -> None:
    demo = project(registry.host).generate("big", payload=20 * MIB)
    demo.prepare().worked()
    complete(registry, demo)


# --- engines


def test_without_an_engine_what_needs_none_is_made_and_the_rest_is_said(
    registry: Registry, project: Callable[[str], Project], tmp_path: Path
) -> None:
    demo = project(registry.host).generate("plain", "runs")
    demo.needs_engine("runs")
    plain = next(ref for ref in demo.images() if "plain" in ref)

    said = demo.prepare(DOCKER_HOST=f"unix://{tmp_path / 'none.sock'}").failed_clearly()
    assert str(tmp_path / "none.sock") in said
    registry.manifest(plain)

    (tmp_path / "bin").mkdir()
    said = demo.prepare(PATH=str(tmp_path / "bin")).failed_clearly()
    assert "expected the docker command on PATH" in said

    require_engine()
    demo.prepare().worked()
    complete(registry, demo)


@pytest.mark.parametrize("target", ["registry", "docker"])
def test_an_engine_that_is_too_old_is_said_with_what_is_needed(
    registry: Registry, project: Callable[[str], Project], tmp_path: Path, target: str
) -> None:
    require_engine()
    demo = project(registry.host).generate("runs")
    demo.needs_engine("runs")
    with engine_of_version("20.10.24", "1.41", tmp_path / "old.sock") as address:
        said = demo.prepare(target=target, DOCKER_HOST=address).failed_clearly()
    assert "20.10.24" in said
    assert "23.0" in said

    demo.prepare().worked()
    complete(registry, demo)


# --- no way out


def test_images_are_prepared_and_applied_where_only_a_registry_can_be_reached(
    tmp_path: Path, project: Callable[[str], Project]
) -> None:
    require_base()
    require_root()
    require_engine()
    outside = Registry(tmp_path / "registry")
    with running(outside):
        outside.take_base()
        outside.stop()
        with no_way_out(f"esb-e2e-{outside.host.rpartition(':')[2]}") as inside:
            # the namespace has a loopback of its own, where the gate's port is free
            registry = Registry(tmp_path / "registry", inside, SHARED_REGISTRY)
            registry.start()
            try:
                demo = project(SHARED_REGISTRY)
                demo.prefix = inside
                demo.generate("first", "second")
                demo.prepare("--builder", "direct").worked()
                apply = ("apply", "--artifact", str(demo.manifest), "--out", str(tmp_path / "config"))
                demo.finish(demo.begin("artifactctl", *apply)).worked()
                assert "reused" in demo.prepare("--builder", "direct").worked().out
            finally:
                registry.stop()


def test_the_smoke_suite_passes_where_nothing_can_be_reached(root: Path, tmp_path: Path) -> None:
    require_root()
    with no_way_out(f"esb-e2e-smoke-{os.getpid()}") as inside:
        runner = (
            sys.executable,
            root / "e2e" / "run_tests.py",
            "--profile",
            "e2e-process",
            "--place",
            tmp_path,
        )
        words = (*inside, *runner, "--test-target", root / "e2e" / "scenarios" / "smoke")
        environment = {name: text for name, text in os.environ.items() if not name.startswith("ESB_")}
        done = subprocess.run(
            words, check=False, capture_output=True, text=True, timeout=300, cwd=root, env=environment
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "e2e-process: passed" in done.stdout + done.stderr
