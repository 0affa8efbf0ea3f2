"""What `prepare_images` takes and gives, the same for the CLI and for callers (contract §12, §13)."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from pathlib import Path

from artifact_contract.errors import ArtifactError, Place, Problem, error_for
from artifact_contract.ids import EntryId
from attrs import frozen

from artifactctl.errors import RequestError, WorldError
from artifactctl.images.target import StoredImage

DEFAULT_LOCK_TIMEOUT = 60.0

_OCI_LAYOUT = "oci-layout:"


@frozen
class LayoutTarget:
    """Images go to an OCI image layout in this directory."""

    directory: Path

    def __str__(self) -> str:
        return f"{_OCI_LAYOUT}{self.directory}"


@frozen
class PrepareImagesRequest:
    """What to build and where to; `lock_timeout` in seconds, `now` is when the run starts.

    `rebuild` makes every image again, also of blobs that look right; `jobs` is how many are made at a time;
    `command` names the caller to those who wait for the lock.
    """

    artifact: Path
    target: LayoutTarget
    now: datetime
    strict: bool = False
    jobs: int = 1
    rebuild: bool = False
    lock_timeout: float = DEFAULT_LOCK_TIMEOUT
    command: str = "artifactctl prepare-images"


class ImageStatus(Enum):
    """What became of an image."""

    BUILT = "built"
    REUSED = "reused"
    FAILED = "failed"


@frozen
class ImageResult:
    """One image of the artifact: what it was made from, and its manifest's digest, or the error."""

    ref: str
    entry: EntryId
    functions: tuple[str, ...]
    dockerfile: str
    status: ImageStatus
    platform: str = ""
    stored: StoredImage | None = None
    error: ArtifactError | WorldError | None = None


@frozen
class PrepareImagesResult:
    """All images in the order of the entries, bases before the functions that need them."""

    target: LayoutTarget
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
        failures = [(image, image.error) for image in self.images if isinstance(image.error, WorldError)]
        if problems:
            world = [
                Problem(Place(image.dockerfile), image.ref, "an image", str(error))
                for image, error in failures
            ]
            raise error_for([*dict.fromkeys(problems), *world])
        if failures:
            raise WorldError("\n".join(f"{image.ref}: {error}" for image, error in failures))


def parse_target(text: str) -> LayoutTarget:
    """`oci-layout:DIR` as a target.

    Raises:
        RequestError: another kind of target, or no directory.
    """
    directory = text.removeprefix(_OCI_LAYOUT)
    if directory == text or not directory:
        raise RequestError(f"target {text!r}: expected oci-layout:DIR")
    return LayoutTarget(Path(directory))
