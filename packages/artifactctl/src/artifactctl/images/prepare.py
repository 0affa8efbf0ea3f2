"""`prepare-images`: make the images of an artifact's functions, and the bases they are FROM (contract §13).

    manifest ─load, check▶ entries ─plan▶ [ImagePlan] ─make▶ images in a target ─▶ PrepareImagesResult

An image whose inputs didn't change is left alone. One that fails doesn't stop the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from artifact_contract.codec import Reader
from artifact_contract.errors import ArtifactError, Problem, raise_errors
from artifact_contract.loader import load_runtime_config
from artifact_contract.manifest import LoadedManifest, load_manifest
from artifact_contract.models import Entry
from artifact_contract.verify import verify_content, verify_paths, verify_runtime_meta
from attrs import define, evolve, field, frozen

from artifactctl.block_yaml import block_reader
from artifactctl.errors import RequestError
from artifactctl.images.api import (
    ImageStep,
    ImageTarget,
    LayoutTarget,
    PrepareImagesRequest,
    PrepareImagesResult,
)
from artifactctl.images.imports import EntryImports
from artifactctl.images.making import OnImage, OnStep, make_all
from artifactctl.images.plan import EntryFiles, ImagePlan, merge_plans, plan_entry
from artifactctl.images.sites import Site, open_site, target_for
from artifactctl.lock import OnWait


@frozen
class _Entry:
    """One entry: what images it has, which it imports, and what was odd about its runtime config."""

    files: EntryFiles
    imports: EntryImports
    warnings: tuple[Problem, ...]


@frozen
class _Planned:
    """What is to be made, and what was odd about the artifact."""

    plans: tuple[ImagePlan, ...]
    warnings: tuple[Problem, ...]


def _ignore(_: object) -> None:
    """Nobody is there to be told."""


def _ignore_step(_plan: ImagePlan, _step: ImageStep) -> None:
    """As above."""


def prepare_images(
    request: PrepareImagesRequest,
    *,
    on_image: OnImage = _ignore,
    on_step: OnStep = _ignore_step,
    on_wait: OnWait = _ignore,
) -> PrepareImagesResult:
    """Make all images of an artifact.

    `on_image` hears of each as it is done, from the calling thread; `on_step` of what is being done to it,
    from any thread. Failed images are in the result; its `raise_failures` turns them into an exception.

    Raises:
        ArtifactError: the manifest, an entry or its runtime config is rejected; nothing was written.
        RequestError: the target is inside the artifact, or can't do what is asked for.
        WorldError: the target can't be written; what was there before still is.
        OSError: the artifact can't be read.
    """
    reader = block_reader()
    loaded = load_manifest(request.artifact, reader=reader)
    target = target_for(request, loaded.manifest.mode)
    warnings = _check(loaded, request, target)
    entries = [_load_entry(loaded, entry, reader) for entry in loaded.manifest.artifacts]
    pushing = _Pushing(on_step)
    with open_site(request, target, _overrides(request, entries), pushing.begins) as site:
        planned = _plan_all(request, site, entries, warnings)
        pushing.plans = {plan.ref: plan for plan in planned.plans}
        with site.opened(on_wait) as destination:
            # inside: no thread of ours may still write when the next one has the lock
            with _workers(request.jobs) as pool:
                made = make_all(planned.plans, destination, pool, on_image=on_image, on_step=on_step)
                results = tuple(made)
            destination.commit()
    return PrepareImagesResult(target, results, planned.warnings)


@define
class _Pushing:
    """From a reference whose bytes begin to go out to the step of its image."""

    on_step: OnStep
    plans: Mapping[str, ImagePlan] = field(factory=dict)

    def begins(self, ref: str) -> None:
        plan = self.plans.get(ref)
        if plan:
            self.on_step(plan, ImageStep.PUSHING)


@contextmanager
def _workers(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that are done, or never began, when an exception leaves the block."""
    pool = ThreadPoolExecutor(jobs)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _plan_all(
    request: PrepareImagesRequest, site: Site, entries: Iterable[_Entry], warnings: Iterable[Problem]
) -> _Planned:
    strict = request.strict
    odd: list[Problem] = []
    found: list[ImagePlan] = []
    with _workers(request.jobs) as pool:
        for entry in entries:
            odd += [*entry.warnings, *entry.imports.warnings(possible=site.imports)]
            found += plan_entry(entry.files, site.external, pool.map, site.method)
            found += entry.imports.plans(entry.files, site.method) if site.imports else ()
    plans, conflicts = merge_plans(
        (_judged(plan, strict=strict) for plan in found), single=site.method.single
    )
    odd += [one for plan in plans for one in plan.warnings]
    everything = [*warnings, *raise_errors([*odd, *conflicts], strict=strict)]
    return _Planned(tuple(plans), tuple(dict.fromkeys(everything)))


def _overrides(request: PrepareImagesRequest, entries: Iterable[_Entry]) -> Mapping[str, str]:
    """What is taken instead of which FROM: what the caller says, and the sources of what is imported."""
    given = request.overrides
    sources = {ref: source for entry in entries for ref, source in entry.imports.sources().items()}
    return {**{ref: given.get(source, source) for ref, source in sources.items()}, **given}


def _check(loaded: LoadedManifest, request: PrepareImagesRequest, target: ImageTarget) -> tuple[Problem, ...]:
    """Everything that is checked before images are thought of, in the contract's order (§11)."""
    entries = loaded.manifest.artifacts
    paths = (problem for entry in entries for problem in verify_paths(loaded, entry))
    warnings = raise_errors([*loaded.warnings, *paths], strict=request.strict)
    if isinstance(target, LayoutTarget):
        _refuse_inside(loaded, target.directory)
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


def _load_entry(loaded: LoadedManifest, entry: Entry, reader: Reader) -> _Entry:
    root = loaded.root_of(entry)
    config_dir = root / entry.runtime_config_dir
    found = load_runtime_config(config_dir, reader=reader)
    imports = EntryImports(entry, config_dir, found.config.images)
    files = EntryFiles(entry.id, root, config_dir, found.config.functions, imports.names)
    return _Entry(files, imports, found.warnings)


def _judged(plan: ImagePlan, *, strict: bool) -> ImagePlan:
    """A plan whose warnings are errors in a strict run fails, as any other that can't be built."""
    try:
        raise_errors(plan.warnings, strict=strict)
    except ArtifactError as error:
        return evolve(plan, work=None, error=error)
    return plan
