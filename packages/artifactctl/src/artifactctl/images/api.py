"""What `prepare_images` takes and gives, the same for the CLI and for callers (contract §12, §13)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from artifact_contract.errors import ArtifactError, FieldError, Place, Problem, error_for
from artifact_contract.ids import EntryId
from attrs import field, frozen

from artifactctl.errors import RequestError, WorldError
from artifactctl.images.recipe import Platform, parse_platform
from artifactctl.images.target import StoredImage
from artifactctl.registry.config import RegistryConfig

DEFAULT_LOCK_TIMEOUT = 60.0

_OCI_LAYOUT = "oci-layout:"
_OVERRIDE = re.compile(r"[^\s=]+")


@frozen
class LayoutTarget:
    """Images go to an OCI image layout in this directory."""

    directory: Path

    def __str__(self) -> str:
        return f"{_OCI_LAYOUT}{self.directory}"


@frozen
class SiteRegistry:
    """Images are pushed to the registry that their references name."""

    def __str__(self) -> str:
        return "registry"


@frozen
class LocalEngine:
    """Images are loaded into the container engine of this host."""

    def __str__(self) -> str:
        return "docker"


ImageTarget: TypeAlias = LayoutTarget | SiteRegistry | LocalEngine


class Builder(Enum):
    """Who makes images: an engine where direct assembly can't, never one, or always one."""

    AUTO = "auto"
    DIRECT = "direct"
    BUILDX = "buildx"


@frozen
class PrepareImagesRequest:
    """What to build and where to; `lock_timeout` in seconds, `now` is when the run starts.

    No `target`: the registry, for the modes docker and containerd. `rebuild` makes every image again, also of
    blobs that look right; `jobs` is how many are made at a time; `platforms` replaces those of the functions;
    `overrides` sends a FROM somewhere else; `command` names the caller to those who wait for the lock.
    """

    artifact: Path
    target: ImageTarget | None
    now: datetime
    strict: bool = False
    jobs: int = 1
    rebuild: bool = False
    lock_timeout: float = DEFAULT_LOCK_TIMEOUT
    command: str = "artifactctl prepare-images"
    builder: Builder = Builder.AUTO
    platforms: tuple[Platform, ...] = ()
    overrides: Mapping[str, str] = field(factory=dict)
    registry: RegistryConfig = field(factory=RegistryConfig)


class ImageStatus(Enum):
    """What became of an image."""

    BUILT = "built"
    REUSED = "reused"
    FAILED = "failed"


class ImageStep(Enum):
    """What is being done to an image that isn't finished."""

    WAITING = "waiting"
    BUILDING = "building"
    PUSHING = "pushing"


@frozen
class ImageResult:
    """One image of the artifact: what it was made from, and its manifest's digest, or the error.

    `builder` is `direct`, `buildx` or `import`; nothing where it can't be said.
    """

    ref: str
    entry: EntryId
    functions: tuple[str, ...]
    dockerfile: str
    status: ImageStatus
    platform: str = ""
    stored: StoredImage | None = None
    error: ArtifactError | WorldError | None = None
    builder: str = ""


@frozen
class PrepareImagesResult:
    """All images in the order of the entries, bases before the functions that need them."""

    target: ImageTarget
    images: tuple[ImageResult, ...]
    warnings: tuple[Problem, ...] = ()

    def count(self, status: ImageStatus) -> int:
        """How many images ended like this."""
        return sum(image.status is status for image in self.images)

    def raise_failures(self) -> None:
        """Nothing when no image failed.

        Raises:
            ArtifactError: an image can't be built from what the artifact holds; has the problems of all
            images. WorldError: only the world is to blame.
        """
        errors = [image.error for image in self.images if image.error]
        problems = [one for error in errors if isinstance(error, ArtifactError) for one in error.problems]
        failures = self._failures()
        if problems:
            world = [
                Problem(Place(image.dockerfile), names, "an image", text)
                for text, (image, names) in failures.items()
            ]
            raise error_for([*dict.fromkeys(problems), *world])
        if failures:
            raise WorldError("\n".join(f"{names}: {text}" for text, (_, names) in failures.items()))

    def _failures(self) -> Mapping[str, tuple[ImageResult, str]]:
        """What the world is to blame for, each with the first image it concerns and the names of all."""
        found: dict[str, list[ImageResult]] = {}
        for image in self.images:
            if isinstance(image.error, WorldError):
                found.setdefault(str(image.error), []).append(image)
        return {text: (images[0], _names(images)) for text, images in found.items()}


def _names(images: Sequence[ImageResult]) -> str:
    others = f" and {len(images) - 1} more" if len(images) > 1 else ""
    return f"{images[0].ref}{others}"


def parse_target(text: str) -> ImageTarget:
    """`registry`, `docker` or `oci-layout:DIR` as a target.

    Raises:
        RequestError: another kind of target, or no directory.
    """
    if text == "registry":
        return SiteRegistry()
    if text == "docker":
        return LocalEngine()
    directory = text.removeprefix(_OCI_LAYOUT)
    if directory == text or not directory:
        raise RequestError(f"--target {text!r}: expected registry, docker or oci-layout:DIR")
    return LayoutTarget(Path(directory))


def parse_platforms(text: str) -> tuple[Platform, ...]:
    """`linux/amd64,linux/arm64` as platforms, each once.

    Raises:
        RequestError: one of them isn't a platform.
    """
    try:
        return tuple(dict.fromkeys(parse_platform(one.strip()) for one in text.split(",")))
    except FieldError as error:
        raise RequestError(f"--platform {text!r}: {error}") from error


def parse_overrides(texts: Iterable[str]) -> Mapping[str, str]:
    """`FROM=REF`, several times, as what to take instead of what.

    Raises:
        RequestError: one isn't of this form, or two say something different about one FROM.
    """
    found: dict[str, str] = {}
    for text in texts:
        given, equals, ref = text.partition("=")
        if not equals or not _OVERRIDE.fullmatch(given) or not _OVERRIDE.fullmatch(ref):
            raise RequestError(f"--image-override {text!r}: expected FROM=REF, two image references")
        if found.setdefault(given, ref) != ref:
            raise RequestError(f"--image-override {given}: expected one REF, got {found[given]} and {ref}")
    return found
