"""The builder for what direct assembly can't do: `docker buildx build`, through python-on-whales.

No file of the artifact is changed: bases are redirected by named contexts, the input digest is a label given
on the command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, cast

from artifact_contract.errors import ArtifactError, Place, Problem
from attrs import field, frozen

from artifactctl.errors import DiskError
from artifactctl.images.docker_cli import DockerCli, EngineError
from artifactctl.images.oci import INPUTS
from artifactctl.images.staging import staged
from artifactctl.images.work import Build

if TYPE_CHECKING:
    from python_on_whales import DockerClient

_LAST_LINES = 15
_EPOCH = {"SOURCE_DATE_EPOCH": "0"}
_STEP = re.compile(r"#(\d+) (?:\d+\.\d+ )?(.*)")
_PREFIX = re.compile(r"^\[[^\]]*\] ")
_AT = re.compile(r"Dockerfile:(\d+)")
# what the artifact is to blame for, in BuildKit's words
_ARTIFACTS_FAULT = (
    "did not complete successfully",
    "dockerfile parse error",
    "failed to compute cache key",
    "failed to calculate checksum",
    "failed to parse",
)


class BuildError(ArtifactError):
    """A step of a Dockerfile fails in the engine."""


@frozen(slots=False)
class Buildx:
    """Builds with the builder that `docker buildx` uses; safe to use from several threads."""

    docker: DockerCli
    _guard: Lock = field(factory=Lock, init=False)

    @cached_property
    def client(self) -> DockerClient:
        """The client, when everything it needs is there.

        Raises:
            EngineError: it isn't; says what was found and what is needed.
        """
        self.docker.require_engine()
        self.docker.require_buildx()
        from python_on_whales import DockerClient  # noqa: PLC0415 - takes hundreds of milliseconds

        return DockerClient(client_call=[self.docker.program])

    @cached_property
    def is_embedded(self) -> bool:
        """Whether the builder is the engine itself, which can't set times or make several platforms."""
        return self.client.buildx.inspect().driver == "docker" and self.docker.has_layer_store

    def build(
        self, build: Build, tag: str, images: Mapping[str, str], *, push: bool, cache: bool = True
    ) -> None:
        """Build an image and push it, or load it into the engine; `images` says what a FROM means.

        An embedded builder pushes it without its input digest: it isn't what the same inputs always give.

        Raises:
            BuildError: a step of the Dockerfile fails.
            EngineError: something else does.
            DiskError: a file can't be read or written.
        """
        with self._guard:
            client, embedded = self.client, self.is_embedded
        if embedded and len(build.platforms) > 1:
            raise EngineError(
                "docker buildx: expected a builder for several platforms, found the engine's own; make one"
                " with `docker buildx create` and name it in BUILDX_BUILDER"
            )
        output = {"type": "image", "name": tag, "push": "true", "rewrite-timestamp": "true"}
        try:
            with staged(build) as (context, dockerfile):
                lines = client.buildx.build(
                    context,
                    file=dockerfile,
                    tags=tag,
                    build_args={**build.args, **_EPOCH},
                    build_contexts={
                        ref: f"docker-image://{name}" for ref, name in images.items() if ref != name
                    },
                    labels={} if push and embedded else {INPUTS: build.inputs},
                    platforms=[str(platform) for platform in build.platforms],
                    cache=cache,
                    provenance=False,
                    sbom=False,
                    progress="plain",
                    stream_logs=True,
                    load=not push,
                    push=push and embedded,
                    output={} if embedded or not push else output,
                )
                _follow(cast("Iterator[str]", lines), build)
        except OSError as error:
            raise DiskError(
                Path(error.filename or build.dockerfile), "stage it for the engine", error
            ) from error


def _follow(lines: Iterable[str], build: Build) -> None:
    from python_on_whales import DockerException  # noqa: PLC0415 - as above

    seen: list[str] = []
    try:
        # one by one: what was said before it failed is what explains it
        for line in lines:
            seen.append(line.rstrip())
    except DockerException as error:
        raise failure(seen or (error.stderr or "").splitlines(), build.dockerfile) from error


def failure(lines: list[str], dockerfile: Path) -> BuildError | EngineError:
    """What the plain progress of a failed build says: the error, and the last lines of the failing step."""
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    reason = (errors[-1] if errors else "it failed without a word").removeprefix("failed to solve: ")
    step, said = _failing_step(lines)
    output = "".join(f"\n    {line}" for line in said[-_LAST_LINES:])
    if not any(text in reason for text in _ARTIFACTS_FAULT):
        return EngineError(f"docker buildx: {reason}{output}")
    at = [int(found[1]) for found in map(_AT.match, lines) if found]
    place = Place(str(dockerfile), at[-1] if at else None)
    return BuildError([Problem(place, step or "Dockerfile", "a step that succeeds", f"{reason}{output}")])


def _failing_step(lines: Iterable[str]) -> tuple[str, list[str]]:
    """Name and output of the step that has an error."""
    names: dict[str, str] = {}
    said: dict[str, list[str]] = {}
    failed = ""
    for line in lines:
        found = _STEP.fullmatch(line)
        if not found:
            continue
        number, text = found[1], found[2]
        if text.startswith("ERROR"):
            failed = number
            continue
        name = _PREFIX.sub("", text)
        # the name comes again when other steps have said something in between
        if names.setdefault(number, name) != name:
            said.setdefault(number, []).append(text)
    return names.get(failed, ""), said.get(failed, [])
