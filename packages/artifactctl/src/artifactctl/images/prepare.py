"""`prepare-images`: build the images of an artifact's functions, and the bases they are FROM (contract §13).

    manifest ─load, check▶ entries ─plan▶ [ImagePlan] ─build▶ images in a target ─▶ PrepareImagesResult

Directly assembled; an image whose inputs didn't change is left alone. One that fails doesn't stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from artifact_contract.codec import Reader
from artifact_contract.errors import ArtifactError, Place, Problem, Severity, raise_errors
from artifact_contract.loader import load_runtime_config
from artifact_contract.manifest import LoadedManifest, load_manifest
from artifact_contract.models import Entry
from artifact_contract.runtime_config import IMAGE_IMPORT_FILE, ImageImportEntry
from artifact_contract.verify import verify_content, verify_paths, verify_runtime_meta
from attrs import evolve, frozen

from artifactctl.block_yaml import block_reader
from artifactctl.errors import RequestError, WorldError
from artifactctl.images.api import ImageResult, ImageStatus, PrepareImagesRequest, PrepareImagesResult
from artifactctl.images.bases import empty_base
from artifactctl.images.oci_layout import open_layout
from artifactctl.images.plan import EntryFiles, ImagePlan, merge_plans, plan_entry
from artifactctl.images.target import StoredImage, Target
from artifactctl.lock import OnWait, current_holder

OnImage = Callable[[ImageResult], None]


@frozen
class _Planned:
    """What is to be built, and what was odd about the artifact."""

    plans: tuple[ImagePlan, ...]
    warnings: tuple[Problem, ...]


def _ignore(_: object) -> None:
    """Nobody is there to be told."""


def prepare_images(
    request: PrepareImagesRequest, *, on_image: OnImage = _ignore, on_wait: OnWait = _ignore
) -> PrepareImagesResult:
    """Build all images of an artifact; `on_image` hears of each as it is done, from the calling thread.

    Failed images are in the result; its `raise_failures` turns them into an exception.

    Raises:
        ArtifactError: the manifest, an entry or its runtime config is rejected; nothing was written.
        RequestError: the target is inside the artifact.
        WorldError: the target can't be written; what was there before still is.
        OSError: the artifact can't be read.
    """
    planned = _plan_all(request)
    with open_layout(
        request.target.directory,
        holder=current_holder(request.command, request.now),
        lock_timeout=request.lock_timeout,
        on_wait=on_wait,
        trust=not request.rebuild,
    ) as target:
        # inside: no thread of ours may still write when the next one has the lock
        with _workers(request.jobs) as pool:
            results = tuple(_build_all(planned.plans, target, pool, on_image))
        target.commit()
    return PrepareImagesResult(request.target, results, planned.warnings)


@contextmanager
def _workers(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that are done, or never began, when an exception leaves the block."""
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _plan_all(request: PrepareImagesRequest) -> _Planned:
    reader, strict = block_reader(), request.strict
    loaded = load_manifest(request.artifact, reader=reader)
    warnings = _check(loaded, request)
    entries = [_load_entry(loaded, entry, reader) for entry in loaded.manifest.artifacts]
    odd = [problem for _, problems in entries for problem in problems]
    with _workers(request.jobs) as pool:
        found = [plan for entry, _ in entries for plan in plan_entry(entry, empty_base, pool.map)]
    plans, conflicts = merge_plans(_judged(plan, strict=strict) for plan in found)
    odd += [one for plan in plans if plan.recipe for one in plan.recipe.warnings]
    everything = [*warnings, *raise_errors([*odd, *conflicts], strict=strict)]
    return _Planned(tuple(plans), tuple(dict.fromkeys(everything)))


def _check(loaded: LoadedManifest, request: PrepareImagesRequest) -> tuple[Problem, ...]:
    """Everything that is checked before images are thought of, in the contract's order (§11)."""
    entries = loaded.manifest.artifacts
    paths = (problem for entry in entries for problem in verify_paths(loaded, entry))
    warnings = raise_errors([*loaded.warnings, *paths], strict=request.strict)
    _refuse_inside(loaded, request.target.directory)
    content = (
        problem
        for entry in entries
        for problem in (*verify_runtime_meta(loaded, entry), *verify_content(loaded, entry))
    )
    return raise_errors([*warnings, *content], strict=request.strict)


def _refuse_inside(loaded: LoadedManifest, directory: Path) -> None:
    """An artifact is read-only: no target can be in one (§1)."""
    target = directory.resolve()
    for entry in loaded.manifest.artifacts:
        root = loaded.root_of(entry).resolve()
        if target.is_relative_to(root):
            raise RequestError(
                f"{directory}: is inside the artifact root {root}, where nothing may be written"
            )


def _load_entry(loaded: LoadedManifest, entry: Entry, reader: Reader) -> tuple[EntryFiles, list[Problem]]:
    root = loaded.root_of(entry)
    config_dir = root / entry.runtime_config_dir
    found = load_runtime_config(config_dir, reader=reader)
    imported = found.config.images.images
    names = frozenset(image.function_name for image in imported if image.function_name)
    files = EntryFiles(entry.id, root, config_dir, found.config.functions, names)
    return files, [*found.warnings, *_not_imported(config_dir, imported)]


def _not_imported(config_dir: Path, images: tuple[ImageImportEntry, ...]) -> list[Problem]:
    """An OCI layout has no registry to copy images into: say which ones stay out."""
    if not images:
        return []
    names = ", ".join(image.key for image in images)
    place = Place(str(config_dir / IMAGE_IMPORT_FILE))
    found = f"an OCI layout; not imported: {names}"
    return [Problem(place, "images", "a registry to import into", found, severity=Severity.WARNING)]


def _judged(plan: ImagePlan, *, strict: bool) -> ImagePlan:
    """A plan whose warnings are errors in a strict run fails, as any other that can't be built."""
    try:
        raise_errors(plan.recipe.warnings if plan.recipe else (), strict=strict)
    except ArtifactError as error:
        return evolve(plan, recipe=None, error=error)
    return plan


def _build_all(
    plans: Iterable[ImagePlan], target: Target, pool: ThreadPoolExecutor, on_image: OnImage
) -> Iterator[ImageResult]:
    """The results in the order of the plans, bases made first: all images on top of one have its layers."""
    order = sorted(plans, key=lambda plan: bool(plan.functions))
    done: dict[int, ImageResult] = {}
    bases = [plan for plan in order if not plan.functions]
    for batch in (bases, order[len(bases) :]):
        for plan, result in zip(batch, pool.map(lambda one: _build(one, target), batch), strict=True):
            on_image(result)
            done[id(plan)] = result
    return (done[id(plan)] for plan in plans)


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


def _result(
    plan: ImagePlan,
    status: ImageStatus,
    stored: StoredImage | None = None,
    error: ArtifactError | WorldError | None = None,
) -> ImageResult:
    platform = str(plan.recipe.platform) if plan.recipe else ""
    return ImageResult(plan.ref, plan.entry, plan.functions, plan.dockerfile, status, platform, stored, error)
