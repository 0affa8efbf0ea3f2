from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from artifactctl.images.docker_cli import DockerCli, EngineError
from artifactctl.images.recipe import Platform

Docker = Callable[[str], DockerCli]


@pytest.fixture
def docker(tmp_path: Path) -> Docker:
    """A `docker` that is this shell script."""

    def make(script: str) -> DockerCli:
        program = tmp_path / "docker"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return DockerCli({"PATH": f"{tmp_path}:{os.environ['PATH']}"})

    return make


@pytest.mark.parametrize(("found", "said"), [("20.10.24", "found 20.10.24"), ("", "found none")])
def test_an_engine_that_is_too_old_is_named_with_what_is_needed(
    docker: Docker, found: str, said: str
) -> None:
    with pytest.raises(EngineError, match=rf"Docker Engine: expected version 23.0 or newer, {said}"):
        docker(f"echo {found}").require_engine()
    docker("echo 26.1.5+dfsg1").require_engine()


def test_a_missing_or_old_buildx_is_named_with_what_is_needed(docker: Docker) -> None:
    with pytest.raises(EngineError, match=r"docker buildx: expected version 0.10 or newer, found none"):
        docker("echo \"docker: 'buildx' is not a docker command.\" >&2; exit 1").require_buildx()
    with pytest.raises(EngineError, match=r"docker buildx: expected version 0.10 or newer, found v0.9.1"):
        docker("echo github.com/docker/buildx v0.9.1 abc").require_buildx()
    docker("echo github.com/docker/buildx 0.13.1+ds1 x").require_buildx()


def test_an_engine_that_is_not_there_says_so_in_its_own_words(docker: Docker) -> None:
    with pytest.raises(EngineError, match="Cannot connect to the Docker daemon"):
        docker("echo Cannot connect to the Docker daemon >&2; exit 1").require_engine()
    with pytest.raises(EngineError, match="found none"):
        DockerCli({"PATH": "/nowhere"}).require_engine()


def test_an_image_is_read_as_the_engine_tells_it(docker: Docker) -> None:
    found = docker(
        """echo '[{"Id": "sha256:1", "Size": 5, "Os": "linux", "Architecture": "arm64", "Variant": "v8",
        "Config": {"Labels": {"io.esb.inputs": "x"}}, "RootFS": {"Layers": ["sha256:2"]}}]'"""
    ).find("a:1")
    assert found
    assert (found.id, found.size, found.platform) == ("sha256:1", 5, Platform("linux", "arm64", "v8"))
    assert (found.labels, found.diff_ids) == ({"io.esb.inputs": "x"}, ("sha256:2",))


def test_a_missing_image_is_none_and_a_missing_engine_an_error(docker: Docker) -> None:
    assert docker("echo 'Error response from daemon: No such image: a:1' >&2; exit 1").find("a:1") is None
    with pytest.raises(EngineError, match="image inspect: broken"):
        docker("echo broken >&2; exit 1").find("a:1")


def test_an_archive_is_fed_to_the_engine(docker: Docker, tmp_path: Path) -> None:
    docker(f"cat > {tmp_path}/got").load([b"one", b"two"])
    assert (tmp_path / "got").read_bytes() == b"onetwo"
    with pytest.raises(EngineError, match="image load: no space left on device"):
        docker("head -c 1 >/dev/null; echo no space left on device >&2; exit 1").load([bytes(1 << 20)] * 4)


def test_an_archive_that_cannot_be_read_ends_the_engine_s_waiting(docker: Docker) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise OSError(5, "unreadable")

    with pytest.raises(OSError, match="unreadable"):
        docker("cat >/dev/null").load(broken())
