"""Making what was planned, as much of it at a time as there are workers, bases before what is FROM them.

A `Destination` is a target with all it takes to fill it. An image that fails doesn't stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Protocol

from artifact_contract.errors import ArtifactError
from attrs import define, field

from artifactctl.errors import WorldError
from artifactctl.images.api import ImageResult, ImageStatus, ImageStep
from artifactctl.images.plan import ImagePlan
from artifactctl.images.recipe import Platform, Recipe
from artifactctl.images.target import StoredImage
from artifactctl.images.work import Assembly, Build, Import, Work

OnImage = Callable[[ImageResult], None]
OnStep = Callable[[ImagePlan, ImageStep], None]

_BUILDERS: Mapping[type[Work], str] = {Assembly: "direct", Build: "buildx", Import: "import"}


class Destination(Protocol):
    """Somewhere images can be made; everything but `commit` is called from several threads."""

    def find(self, ref: str) -> StoredImage | None:
        """The image with this reference, when it is complete."""

    def put(self, ref: str, recipes: Sequence[Recipe]) -> StoredImage:
        """Assemble an image, for each of its platforms."""

    def build(self, ref: str, build: Build, images: Mapping[str, str]) -> StoredImage:
        """Let an engine build an image; `images` says what its bases are called there.

        Raises:
            ArtifactError: a step of the Dockerfile fails.
            WorldError: something else does.
        """

    def copy(self, source: str, ref: str, platforms: Sequence[Platform]) -> StoredImage:
        """Bring an image that exists elsewhere."""

    def name_of(self, ref: str) -> str:
        """What an engine calls an image that comes from elsewhere."""

    def name_of_stored(self, ref: str, stored: StoredImage) -> str:
        """What an engine calls an image that is here."""

    def commit(self) -> None:
        """Make everything visible at once, where the target can."""


def make_all(
    plans: Iterable[ImagePlan],
    destination: Destination,
    pool: ThreadPoolExecutor,
    *,
    on_image: OnImage,
    on_step: OnStep,
) -> Iterator[ImageResult]:
    """The results in the order of the plans; `on_image` hears of each here, `on_step` in any thread."""
    order = sorted(plans, key=lambda plan: bool(plan.functions))
    maker = _Maker(destination, on_step)
    for plan in order:
        on_step(plan, ImageStep.WAITING)
    done: dict[int, ImageResult] = {}
    bases = [plan for plan in order if not plan.functions]
    for batch in (bases, order[len(bases) :]):
        for plan, result in zip(batch, pool.map(maker.make, batch), strict=True):
            on_image(result)
            done[id(plan)] = result
    return (done[id(plan)] for plan in plans)


@define(eq=False)
class _Maker:
    destination: Destination
    on_step: OnStep
    names: dict[tuple[str, str], str] = field(factory=dict)
    guard: Lock = field(factory=Lock)

    def make(self, plan: ImagePlan) -> ImageResult:
        work = plan.work
        if work is None:
            return _result(plan, ImageStatus.FAILED, error=plan.error)
        try:
            stored = self.destination.find(plan.ref)
            if stored and work.inputs and stored.inputs == work.inputs:
                status = ImageStatus.REUSED
            else:
                self.on_step(plan, ImageStep.BUILDING)
                before, stored = stored, self._made(plan.ref, work)
                same = isinstance(work, Import) and before and before.digest == stored.digest
                status = ImageStatus.REUSED if same else ImageStatus.BUILT
        except (ArtifactError, WorldError) as error:
            return _result(plan, ImageStatus.FAILED, error=error)
        self._note(plan.ref, work, self.destination.name_of_stored(plan.ref, stored))
        return _result(plan, status, stored)

    def _note(self, ref: str, work: Work, name: str) -> None:
        # what is FROM it knows the inputs of one platform
        parts = [recipe.inputs for recipe in work.recipes] if isinstance(work, Assembly) else []
        with self.guard:
            self.names.update({(ref, inputs): name for inputs in (work.inputs, *parts)})

    def _made(self, ref: str, work: Work) -> StoredImage:
        if isinstance(work, Assembly):
            return self.destination.put(ref, work.recipes)
        if isinstance(work, Import):
            return self.destination.copy(work.source, ref, work.platforms)
        return self.destination.build(ref, work, self._names_for(work))

    def _names_for(self, work: Build) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for base in work.bases:
            if base.ours:
                found[base.ref] = self._base(base.ref, base.inputs)
            else:
                found[base.ref] = self.destination.name_of(base.ref)
        return found

    def _base(self, ref: str, inputs: str) -> str:
        # by its inputs: an entry never gets the base of another one that has the same name
        with self.guard:
            name = self.names.get((ref, inputs))
        if name is None:
            raise WorldError(f"its base {ref} isn't there: it failed, or another base has its name")
        return name


def _result(
    plan: ImagePlan,
    status: ImageStatus,
    stored: StoredImage | None = None,
    error: ArtifactError | WorldError | None = None,
) -> ImageResult:
    return ImageResult(
        plan.ref,
        plan.entry,
        plan.functions,
        plan.dockerfile,
        status,
        ",".join(map(str, plan.platforms)),
        stored,
        error,
        _BUILDERS[type(plan.work)] if plan.work else "",
    )
