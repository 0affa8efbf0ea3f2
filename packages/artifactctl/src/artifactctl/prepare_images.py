"""`prepare-images`: build the images of an artifact's functions, and the bases they are FROM (contract §13).

    manifest ─load, verify▶ entries ─plan▶ [ImagePlan] ─build▶ images in a target ─▶ PrepareImagesResult

Directly assembled here; an image whose inputs didn't change is left alone. One that fails doesn't stop the
others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from enum import Enum
from pathlib import Path

from artifact_contract.codec import Reader, read_yaml
from artifact_contract.errors import (
    ArtifactError,
    Place,
    Problem,
    Severity,
    error_for,
    raise_errors,
)
from artifact_contract.ids import EntryId
from artifact_contract.loader import load_runtime_config
from artifact_contract.manifest import LoadedManifest, load_manifest
from artifact_contract.models import Entry
from artifact_contract.runtime_config import IMAGE_IMPORT_FILE, ImageImportEntry
from artifact_contract.verify import verify_entry
from attrs import evolve, frozen

from artifactctl.errors import DiskError, RequestError, WorldError
from artifactctl.images.bases import empty_base
from artifactctl.images.oci_layout import open_layout
from artifactctl.images.plan import EntryFiles, ImagePlan, merge_plans, plan_entry
from artifactctl.images.recipe import Recipe
from artifactctl.images.target import StoredImage, Target
from artifactctl.lock import LockWait, current_holder

DEFAULT_LOCK_TIMEOUT = 300.0

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

    `rebuild` makes every image again, also of blobs that look right; `jobs` is how many are made at a time.
    """

    artifact: Path
    target: LayoutTarget
    now: datetime
    strict: bool = False
    jobs: int = 1
    rebuild: bool = False
    lock_timeout: float = DEFAULT_LOCK_TIMEOUT


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


OnImage = Callable[[ImageResult], None]


def parse_target(text: str) -> LayoutTarget:
    """`oci-layout:DIR` as a target.

    Raises:
        RequestError: another kind of target, or no directory.
    """
    directory = text.removeprefix(_OCI_LAYOUT)
    if directory == text or not directory:
        raise RequestError(f"target {text!r}: expected oci-layout:DIR")
    return LayoutTarget(Path(directory))


def _ignore(_: object) -> None:
    """Nobody is there to be told."""


def prepare_images(
    request: PrepareImagesRequest,
    *,
    reader: Reader = read_yaml,
    on_image: OnImage = _ignore,
    on_wait: Callable[[LockWait], None] = _ignore,
) -> PrepareImagesResult:
    """Build all images of an artifact; `on_image` hears of each as it is done, from the calling thread.

    Failed images are in the result, `raise_failures` turns them into an exception.

    Raises:
        ArtifactError: the manifest, an entry or its runtime config is rejected; nothing was written.
        WorldError: the target can't be written; what was there before still is.
        OSError: the artifact can't be read.
    """
    loaded = load_manifest(request.artifact, reader=reader)
    problems = [one for entry in loaded.manifest.artifacts for one in verify_entry(loaded, entry)]
    warnings = [*raise_errors([*loaded.warnings, *problems], strict=request.strict)]
    with ThreadPoolExecutor(request.jobs) as pool:
        plans: list[ImagePlan] = []
        for entry in loaded.manifest.artifacts:
            files, odd = _load_entry(loaded, entry, reader)
            warnings += odd
            plans += plan_entry(files, empty_base, pool.map)
        plans, conflicts = merge_plans(_judged(plan, strict=request.strict) for plan in plans)
        warnings += [one for plan in plans if plan.recipe for one in plan.recipe.warnings]
        warnings += raise_errors(conflicts, strict=request.strict)
        holder = current_holder("artifactctl prepare-images", request.now)
        with open_layout(
            request.target.directory,
            holder=holder,
            lock_timeout=request.lock_timeout,
            on_wait=on_wait,
            trust=not request.rebuild,
        ) as target:
            results = list(_build_all(plans, target, pool, on_image))
            target.commit()
    return PrepareImagesResult(request.target, tuple(results), tuple(dict.fromkeys(warnings)))


def _load_entry(loaded: LoadedManifest, entry: Entry, reader: Reader) -> tuple[EntryFiles, list[Problem]]:
    root = loaded.root_of(entry)
    config_dir = root / entry.runtime_config_dir
    config = load_runtime_config(config_dir, reader=reader)
    imported = config.config.images.images
    files = EntryFiles(
        entry.id,
        root,
        config_dir,
        config.config.functions,
        frozenset(image.function_name for image in imported if image.function_name),
    )
    return files, [*config.warnings, *_not_imported(config_dir, imported)]


def _not_imported(config_dir: Path, images: tuple[ImageImportEntry, ...]) -> list[Problem]:
    """An OCI layout has no registry to copy images into: say which ones stay out."""
    if not images:
        return []
    names = ", ".join(image.key for image in images)
    place = Place(str(config_dir / IMAGE_IMPORT_FILE))
    expected = "a registry to import into"
    return [
        Problem(place, "images", expected, f"an OCI layout; not imported: {names}", severity=Severity.WARNING)
    ]


def _judged(plan: ImagePlan, *, strict: bool) -> ImagePlan:
    """A plan whose warnings are errors in a strict run fails, as any other that can't be built."""
    try:
        raise_errors(plan.recipe.warnings if plan.recipe else (), strict=strict)
    except ArtifactError as error:
        return evolve(plan, recipe=None, error=error)
    return plan


def _build_all(
    plans: list[ImagePlan], target: Target, pool: ThreadPoolExecutor, on_image: OnImage
) -> Iterator[ImageResult]:
    # bases first: their layers are in every image on top of them, and are made once
    bases = [plan for plan in plans if not plan.functions]
    others = [plan for plan in plans if plan.functions]
    done: dict[int, ImageResult] = {}
    for batch in (bases, others):
        for plan, result in zip(batch, pool.map(lambda one: _build(one, target), batch), strict=True):
            on_image(result)
            done[id(plan)] = result
    yield from (done[id(plan)] for plan in plans)


def _build(plan: ImagePlan, target: Target) -> ImageResult:
    if plan.recipe is None:
        return _result(plan, ImageStatus.FAILED, error=plan.error)
    try:
        stored = target.find(plan.ref)
        if stored and stored.inputs == plan.recipe.inputs:
            return _result(plan, ImageStatus.REUSED, stored)
        return _result(plan, ImageStatus.BUILT, target.put(plan.ref, plan.recipe))
    except WorldError as error:
        return _result(plan, ImageStatus.FAILED, error=error)
    except OSError as error:
        failure = DiskError(Path(error.filename or plan.dockerfile), "build the image", error)
        return _result(plan, ImageStatus.FAILED, error=failure)


def _result(
    plan: ImagePlan,
    status: ImageStatus,
    stored: StoredImage | None = None,
    error: ArtifactError | WorldError | None = None,
) -> ImageResult:
    recipe: Recipe | None = plan.recipe
    platform = str(recipe.platform) if recipe else ""
    return ImageResult(plan.ref, plan.entry, plan.functions, plan.dockerfile, status, platform, stored, error)
