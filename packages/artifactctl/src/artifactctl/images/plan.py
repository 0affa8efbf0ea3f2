"""Which images an artifact's entries need, and what each is to consist of: reads, writes nothing.

    entry, runtime config ─functions▶ Dockerfiles ─interpret▶ [ImagePlan], the bases they are FROM first

A Dockerfile that can't be built spoils its own image only; the plan carries the error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock

from artifact_contract.errors import (
    ArtifactError,
    FieldError,
    Kind,
    Place,
    Problem,
    Severity,
)
from artifact_contract.ids import EntryId
from artifact_contract.runtime_config import (
    FUNCTIONS_FILE,
    Function,
    FunctionsConfig,
    with_defaults,
)
from artifact_contract.tree import resolve_inside
from artifact_contract.verify import RUNTIME_BASE
from attrs import evolve, frozen

from artifactctl.errors import WorldError
from artifactctl.images.bases import (
    ExternalBases,
    is_lambda_base,
    lambda_base_args,
    split_reference,
)
from artifactctl.images.recipe import Base, Platform, Recipe, lambda_platform
from artifactctl.images.sources import ContextOf, read_error, read_recipe

LAMBDA_BASE_DOCKERFILE = f"{RUNTIME_BASE}/runtime-hooks/python/docker/Dockerfile"

_DEFAULT_ARCHITECTURE = "x86_64"


@frozen
class EntryFiles:
    """One entry as far as images go: its artifact root and what its runtime config says."""

    id: EntryId
    root: Path
    config_dir: Path
    functions: FunctionsConfig
    imported: frozenset[str] = frozenset()


@frozen
class ImagePlan:
    """One image: the recipe, or why there is none. `functions` is empty for a base."""

    ref: str
    entry: EntryId
    dockerfile: str
    functions: tuple[str, ...] = ()
    recipe: Recipe | None = None
    error: ArtifactError | WorldError | None = None


def plan_entry(
    entry: EntryFiles, external: ExternalBases, each: Callable[..., Iterable[ImagePlan | None]] = map
) -> list[ImagePlan]:
    """The images of one entry: its bases, then its functions' in the order of functions.yml.

    `each` maps a function over many values; one that does so in threads makes it faster.
    """
    bases = EntryBases(entry, external)
    context = ContextOf(entry.root)
    functions = [with_defaults(one, entry.functions.defaults) for one in entry.functions.functions.values()]
    plans = each(lambda function: _plan_function(entry, function, bases, context), functions)
    planned = [plan for plan in plans if plan]
    return [*bases.plans(), *planned]


def merge_plans(plans: Iterable[ImagePlan]) -> tuple[list[ImagePlan], list[Problem]]:
    """Each reference once: one image for several functions is made once, of different ones the last wins.

    The second part says which references stand for different images: a tag is meant to name exactly one
    (contract §13).
    """
    merged: dict[object, ImagePlan] = {}
    problems: list[Problem] = []
    for plan in plans:
        if plan.recipe is None:
            merged[id(plan)] = plan
            continue
        before = merged.get(plan.ref)
        if before is None or not before.recipe:
            merged[plan.ref] = plan
        elif before.recipe.inputs == plan.recipe.inputs:
            merged[plan.ref] = evolve(before, functions=_united(before.functions, plan.functions))
        else:
            merged[plan.ref] = plan
            problems += _conflict(before, plan)
    return list(merged.values()), problems


def _conflict(before: ImagePlan, plan: ImagePlan) -> list[Problem]:
    platforms = {one.recipe.platform for one in (before, plan) if one.recipe}
    # one base for two platforms is no mistake; the functions carry the base's layers, so that either may have
    # the name
    if not plan.functions and len(platforms) > 1:
        return []
    found = f"another one from {before.dockerfile}"
    return [Problem(Place(plan.dockerfile), plan.ref, "one image", found, "the last wins", Severity.STRICT)]


def _united(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _plan_function(
    entry: EntryFiles, function: Function, bases: EntryBases, context: ContextOf
) -> ImagePlan | None:
    relative = f"functions/{function.name}/Dockerfile"
    path = entry.root / relative
    plan = ImagePlan(function.image, entry.id, str(path), (function.name,))
    try:
        if function.name in entry.imported and not path.exists():
            return None
        platform = _platform(entry, function)
        _check_reference(entry, function)
        recipe = read_recipe(entry.root, relative, context, bases.find, platform=platform)
    except (ArtifactError, WorldError) as error:
        return evolve(plan, error=error)
    except OSError as error:
        return evolve(plan, error=read_error(path, error))
    return evolve(plan, recipe=recipe)


def _platform(entry: EntryFiles, function: Function) -> Platform:
    architecture = (*function.architectures, _DEFAULT_ARCHITECTURE)[0]
    try:
        return lambda_platform(architecture)
    except FieldError as error:
        place = Place(str(entry.config_dir / FUNCTIONS_FILE))
        raise ArtifactError([error.at(place, f"functions.{function.name}.architectures")]) from error


def _check_reference(entry: EntryFiles, function: Function) -> None:
    if split_reference(function.image)[0] and function.image.isprintable() and " " not in function.image:
        return
    place = Place(str(entry.config_dir / FUNCTIONS_FILE))
    field = f"functions.{function.name}.image"
    raise ArtifactError([Problem(place, field, "an image reference", repr(function.image))])


class EntryBases:
    """The bases that Dockerfiles of one entry are FROM; each lambda base is interpreted once."""

    def __init__(self, entry: EntryFiles, external: ExternalBases) -> None:
        self._entry = entry
        self._external = external
        self._plans: dict[tuple[str, Platform], ImagePlan] = {}
        self._guard = Lock()

    def find(self, ref: str, platform: Platform) -> Base:
        """What a FROM in a function's Dockerfile means.

        Raises:
            FieldError: it is the lambda base, and that can't be built.
        """
        if not is_lambda_base(ref):
            return self._external(ref, platform)
        with self._guard:
            plan = self._plans.get((ref, platform)) or self._plan(ref, platform)
            self._plans[ref, platform] = plan
        if plan.recipe is None:
            raise FieldError(f"a base that {plan.dockerfile} builds", f"{ref}, which failed", kind=Kind.PATH)
        return plan.recipe.as_base(ref)

    def plans(self) -> list[ImagePlan]:
        """The lambda bases that were asked for, sorted by reference."""
        return sorted(self._plans.values(), key=lambda plan: plan.ref)

    def _plan(self, ref: str, platform: Platform) -> ImagePlan:
        root = self._entry.root
        plan = ImagePlan(ref, self._entry.id, str(root / LAMBDA_BASE_DOCKERFILE))
        below = LAMBDA_BASE_DOCKERFILE.removeprefix(f"{RUNTIME_BASE}/")
        try:
            base_root = resolve_inside(root, RUNTIME_BASE)
            args = lambda_base_args(ref)
            recipe = read_recipe(
                base_root,
                below,
                ContextOf(base_root),
                self._without_lambda_base,
                platform=platform,
                build_args=args,
            )
        except (ArtifactError, WorldError) as error:
            return evolve(plan, error=error)
        except OSError as error:
            return evolve(plan, error=read_error(Path(plan.dockerfile), error))
        return evolve(plan, recipe=recipe)

    def _without_lambda_base(self, ref: str, platform: Platform) -> Base:
        if is_lambda_base(ref):
            raise FieldError("another image than the lambda base itself", ref)
        return self._external(ref, platform)
