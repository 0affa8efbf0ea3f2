"""Which images an artifact's entries need, and how each is to be made: reads, writes nothing.

    entry, runtime config ─functions▶ Dockerfiles ─interpret▶ [ImagePlan], the bases they are FROM first

Whatever direct assembly understands is assembled; the rest is a job for an engine where the target has one.
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
from artifactctl.images.api import Builder
from artifactctl.images.bases import (
    ExternalBases,
    is_lambda_base,
    lambda_base_args,
    split_reference,
)
from artifactctl.images.planning import EngineBaseError, Method, NotedBases, plan_work
from artifactctl.images.recipe import Base, Platform, Recipe, lambda_platform
from artifactctl.images.sources import ContextOf, read_error
from artifactctl.images.work import Assembly, Build, Work

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
    """One image: how it is made, or why it can't be. `functions` is empty for a base."""

    ref: str
    entry: EntryId
    dockerfile: str
    functions: tuple[str, ...] = ()
    work: Work | None = None
    error: ArtifactError | WorldError | None = None

    @property
    def recipe(self) -> Recipe | None:
        """The recipe of an image that is assembled, for its first platform."""
        return self.work.recipes[0] if isinstance(self.work, Assembly) else None

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """What the image runs on."""
        return self.work.platforms if self.work else ()

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is odd about its Dockerfile."""
        recipes = self.work.recipes if isinstance(self.work, Assembly) else ()
        return tuple(dict.fromkeys(one for recipe in recipes for one in recipe.warnings))


def plan_entry(
    entry: EntryFiles,
    external: ExternalBases,
    each: Callable[..., Iterable[ImagePlan | None]] = map,
    method: Method | None = None,
) -> list[ImagePlan]:
    """The images of one entry: its bases, then its functions' in the order of functions.yml.

    `each` maps a function over many values; one that does so in threads makes it faster.
    """
    chosen = method or Method(Builder.DIRECT)
    bases = EntryBases(entry, external, chosen)
    context = ContextOf(entry.root)
    functions = [with_defaults(one, entry.functions.defaults) for one in entry.functions.functions.values()]
    plans = each(lambda function: _plan_function(entry, function, bases, context, chosen), functions)
    planned = [plan for plan in plans if plan]
    return [*bases.plans(), *planned]


def merge_plans(plans: Iterable[ImagePlan], *, single: bool = True) -> tuple[list[ImagePlan], list[Problem]]:
    """Each reference once: one image for several functions is made once, of different ones the last wins.

    One base for functions of different platforms is one image for all of them, unless a target holds a
    `single` platform under a name.

    The second part says which references stand for different images: a tag is meant to name exactly one
    (contract §13).
    """
    merged: dict[object, ImagePlan] = {}
    problems: list[Problem] = []
    for plan in plans:
        if plan.work is None:
            merged[id(plan)] = plan
            continue
        before = merged.get(plan.ref)
        if before is None or not before.work:
            merged[plan.ref] = plan
        elif before.work == plan.work or before.work.inputs == plan.work.inputs != "":
            merged[plan.ref] = evolve(before, functions=_united(before.functions, plan.functions))
        elif not (single or plan.functions) and (work := _joined(before.work, plan.work)):
            merged[plan.ref] = evolve(before, work=work)
        else:
            merged[plan.ref] = plan
            problems += _conflict(before, plan)
    return list(merged.values()), problems


def _joined(one: Work, other: Work) -> Work | None:
    """Both as one image, when they are assembled for different platforms."""
    if not isinstance(one, Assembly) or not isinstance(other, Assembly):
        return None
    if set(one.platforms) & set(other.platforms):
        return None
    return Assembly((*one.recipes, *other.recipes))


def _conflict(before: ImagePlan, plan: ImagePlan) -> list[Problem]:
    # one base for two platforms is no mistake; the functions carry the base's layers, so that either may have
    # the name
    if not plan.functions and before.platforms != plan.platforms:
        return []
    found = f"another one from {before.dockerfile}"
    return [Problem(Place(plan.dockerfile), plan.ref, "one image", found, "the last wins", Severity.STRICT)]


def _united(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def _plan_function(
    entry: EntryFiles, function: Function, bases: EntryBases, context: ContextOf, method: Method
) -> ImagePlan | None:
    relative = f"functions/{function.name}/Dockerfile"
    path = entry.root / relative
    plan = ImagePlan(function.image, entry.id, str(path), (function.name,))
    try:
        if function.name in entry.imported and not path.exists():
            return None
        platforms = method.of(_platforms(entry, function))
        _check_reference(entry, function)
        found = NotedBases(lambda ref, platform: bases.find(ref, platform, platforms))
        return evolve(
            plan, work=plan_work(entry.root, relative, context, found, platforms=platforms, method=method)
        )
    except (ArtifactError, WorldError) as error:
        return evolve(plan, error=error)
    except OSError as error:
        return evolve(plan, error=read_error(path, error))


def _platforms(entry: EntryFiles, function: Function) -> tuple[Platform, ...]:
    try:
        found = map(lambda_platform, function.architectures or (_DEFAULT_ARCHITECTURE,))
        return tuple(dict.fromkeys(found))
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

    def __init__(self, entry: EntryFiles, external: ExternalBases, method: Method) -> None:
        self._entry = entry
        self._external = external
        self._method = method
        self._plans: dict[tuple[str, tuple[Platform, ...]], ImagePlan] = {}
        self._guard = Lock()

    def find(self, ref: str, platform: Platform, platforms: tuple[Platform, ...]) -> Base:
        """What a FROM in a function's Dockerfile means; the function is made for all of these platforms.

        Raises:
            EngineBaseError: it is the lambda base, and an engine builds it.
            WorldError: something it is FROM can't be asked for.
            FieldError: it is the lambda base, and that can't be built.
        """
        if not is_lambda_base(ref):
            return self._external(ref, platform)
        wanted = platforms if platform in platforms else (platform,)
        with self._guard:
            plan = self._plans.get((ref, wanted)) or self._plan(ref, wanted)
            self._plans[ref, wanted] = plan
        if isinstance(plan.work, Build):
            raise EngineBaseError(ref, plan.work.inputs)
        if isinstance(plan.error, WorldError):
            raise plan.error
        if not isinstance(plan.work, Assembly):
            raise FieldError(f"a base that {plan.dockerfile} builds", f"{ref}, which failed", kind=Kind.PATH)
        return plan.work.recipes[wanted.index(platform)].as_base(ref)

    def plans(self) -> list[ImagePlan]:
        """The lambda bases that were asked for, sorted by reference."""
        return sorted(self._plans.values(), key=lambda plan: (plan.ref, str(plan.platforms)))

    def _plan(self, ref: str, platforms: tuple[Platform, ...]) -> ImagePlan:
        root = self._entry.root
        plan = ImagePlan(ref, self._entry.id, str(root / LAMBDA_BASE_DOCKERFILE))
        below = LAMBDA_BASE_DOCKERFILE.removeprefix(f"{RUNTIME_BASE}/")
        try:
            base_root = resolve_inside(root, RUNTIME_BASE)
            found = NotedBases(self._without_lambda_base)
            context = ContextOf(base_root)
            work = plan_work(
                base_root,
                below,
                context,
                found,
                platforms=platforms,
                method=self._method,
                build_args=lambda_base_args(ref),
            )
        except (ArtifactError, WorldError) as error:
            return evolve(plan, error=error)
        except OSError as error:
            return evolve(plan, error=read_error(Path(plan.dockerfile), error))
        return evolve(plan, work=work)

    def _without_lambda_base(self, ref: str, platform: Platform) -> Base:
        if is_lambda_base(ref):
            raise FieldError("another image than the lambda base itself", ref)
        return self._external(ref, platform)
