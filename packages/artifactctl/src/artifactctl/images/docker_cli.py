"""The port to the container engine of this host: what its command line says, and images going in and out.

Reads the engine's own settings (`DOCKER_HOST`, contexts) as `docker` does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from threading import Lock

from attrs import field, frozen

from artifactctl.errors import WorldError
from artifactctl.images.recipe import Platform
from artifactctl.registry.descriptors import JsonObject

# the first whose BuildKit has named contexts without a frontend from a registry
OLDEST_ENGINE = (23, 0)
OLDEST_BUILDX = (0, 10)

_SECONDS = 60.0
_VERSION = re.compile(r"v?(\d+)\.(\d+)")
_LINES = 15


class EngineError(WorldError):
    """The container engine can't be reached, is too old, or failed."""


@frozen
class EngineImage:
    """An image in the engine: its id, what a container of it starts with, and its layers."""

    id: str
    size: int
    platform: Platform
    config: JsonObject
    diff_ids: tuple[str, ...]

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels."""
        found = self.config.get("Labels")
        return {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}


@frozen(slots=False)
class DockerCli:
    """`docker`, run with an environment; safe to use from several threads."""

    environment: Mapping[str, str] = field(factory=dict, repr=False)
    _pulling: Lock = field(factory=Lock, init=False)

    @cached_property
    def program(self) -> str:
        """Where `docker` is.

        Raises:
            EngineError: nowhere on PATH.
        """
        found = shutil.which("docker", path=self.environment.get("PATH"))
        if found is None:
            raise EngineError("docker: expected the docker command on PATH, found none")
        return found

    @cached_property
    def engine_version(self) -> str:
        """The version of the engine.

        Raises:
            EngineError: it doesn't answer.
        """
        return self.run("version", "--format", "{{.Server.Version}}").strip()

    @cached_property
    def has_layer_store(self) -> bool:
        """Whether layers of an image that is there need not be loaded again: not with containerd's store."""
        return "io.containerd.snapshotter" not in self.run("info", "--format", "{{json .DriverStatus}}")

    def require_engine(self) -> None:
        """Make sure that there is an engine which can build for us.

        Raises:
            EngineError: there is none, or it is too old; says what was found and what is needed.
        """
        _require("Docker Engine", self.engine_version, OLDEST_ENGINE)

    def require_buildx(self) -> None:
        """Make sure that there is a buildx which can build for us.

        Raises:
            EngineError: there is none, or it is too old; says what was found and what is needed.
        """
        wanted = ".".join(map(str, OLDEST_BUILDX))
        try:
            text = self.run("buildx", "version")
        except EngineError as error:
            raise EngineError(f"docker buildx: expected version {wanted} or newer, found none") from error
        _require("docker buildx", (*text.split(), "", "")[1], OLDEST_BUILDX)

    def find(self, ref: str) -> EngineImage | None:
        """The image with this reference, if the engine has it.

        Raises:
            EngineError: the engine doesn't answer.
        """
        done = self._start("image", "inspect", ref)
        if done.returncode:
            if b"no such image" in done.stderr.lower():
                return None
            raise _failed("image inspect", done.stderr)
        return _image(json.loads(done.stdout)[0])

    def pull(self, ref: str, platform: Platform) -> None:
        """Bring an image from its registry.

        Raises:
            EngineError: it can't be had.
        """
        with self._pulling:
            self.run("pull", "--quiet", "--platform", str(platform), ref, timeout=None)

    def tag(self, source: str, ref: str) -> None:
        """Give an image another name."""
        self.run("tag", source, ref)

    def untag(self, ref: str) -> None:
        """Take a name from an image, and the digest that came with it, unless a container needs it."""
        repository = ref.rpartition(":")[0]
        with suppress(EngineError):
            names = self.run("image", "inspect", "--format", '{{join .RepoDigests " "}}', ref).split()
            digests = (name for name in names if name.startswith(f"{repository}@"))
            self.run("image", "rm", "--no-prune", ref, *digests)

    def load(self, archive: Iterable[bytes]) -> None:
        """Load an image archive, piece by piece.

        Raises:
            EngineError: the engine refuses it.
            OSError: what it is made of can't be read.
        """
        process = subprocess.Popen(
            [self.program, "image", "load", "--quiet"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(self.environment),
            bufsize=0,
        )
        with process:
            try:
                _feed(process, archive)
                errors = process.stderr.read() if process.stderr else b""
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            raise _failed("image load", errors)

    def run(self, *arguments: str, timeout: float | None = _SECONDS) -> str:
        """What a command prints.

        Raises:
            EngineError: it fails, or takes longer than `timeout` seconds.
        """
        done = self._start(*arguments, timeout=timeout)
        if done.returncode:
            raise _failed(" ".join(arguments[:2]), done.stderr)
        return done.stdout.decode(errors="replace")

    def _start(self, *arguments: str, timeout: float | None = _SECONDS) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                [self.program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=dict(self.environment),
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise EngineError(f"docker {arguments[0]}: no answer in {timeout:.0f} seconds") from error


def _feed(process: subprocess.Popen[bytes], archive: Iterable[bytes]) -> None:
    if process.stdin is None:
        return
    # unbuffered: what it didn't read is nobody's business when the pipe is closed
    with process.stdin as pipe, suppress(BrokenPipeError):
        for chunk in archive:
            left = memoryview(chunk)
            while left:
                left = left[os.write(pipe.fileno(), left) :]


def _require(what: str, found: str, oldest: Sequence[int]) -> None:
    version = _VERSION.match(found)
    if not version or (int(version[1]), int(version[2])) < tuple(oldest):
        wanted = ".".join(map(str, oldest))
        raise EngineError(f"{what}: expected version {wanted} or newer, found {found or 'none'}")


def _failed(what: str, stderr: bytes) -> EngineError:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return EngineError(f"docker {what}: {' '.join(lines[-_LINES:]) or 'failed without a word'}")


def _image(document: JsonObject) -> EngineImage:
    config, rootfs, size = document.get("Config"), document.get("RootFS"), document.get("Size")
    platform = Platform(
        str(document.get("Os")), str(document.get("Architecture")), str(document.get("Variant") or "")
    )
    layers = rootfs.get("Layers") if isinstance(rootfs, dict) else None
    return EngineImage(
        id=str(document["Id"]),
        size=size if isinstance(size, int) else 0,
        platform=platform,
        config=config if isinstance(config, dict) else {},
        diff_ids=tuple(map(str, layers)) if isinstance(layers, list) else (),
    )
