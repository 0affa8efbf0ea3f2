"""One Dockerfile, and the way its image is made: assembled if possible, else built by an engine (§13).

Dockerfile ─interpret, a platform at a time▶ Assembly, or Build where something needs an engine
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from artifactctl.images.api import Builder
from artifactctl.images.bases import is_lambda_base
from artifactctl.images.dockerfile import parse_dockerfile
from artifactctl.images.interpret import DockerfileError, FindBase, Surroundings, interpret
from artifactctl.images.recipe import Base, Platform, Recipe
from artifactctl.images.sources import ContextOf, read_dockerfile
from artifactctl.images.touched import Touched
from artifactctl.images.words import UnsupportedError
from artifactctl.images.work import Assembly, BaseUse, Build, Work


class EngineBaseError(UnsupportedError):
    """A FROM means a base of this artifact that an engine builds: what is FROM it, an engine builds too."""

    def __init__(self, ref: str, inputs: str) -> None:
        super().__init__("a base that direct assembly makes", f"{ref}, which an engine builds")
        self.inputs = inputs


@frozen
class Method:
    """How images of a run are made: by whom, and for which platforms.

    `single` is a target that holds one platform under a name. Without `engine` nothing can be built.
    """

    builder: Builder
    platforms: tuple[Platform, ...] = ()
    engine: bool = False
    single: bool = True

    @property
    def may_build(self) -> bool:
        """Whether what can't be assembled may be built."""
        return self.engine and self.builder is not Builder.DIRECT

    def of(self, platforms: tuple[Platform, ...]) -> tuple[Platform, ...]:
        """The platforms of a function that asks for these itself."""
        wanted = self.platforms or platforms
        return wanted[:1] if self.single else wanted


class NotedBases:
    """A `FindBase` that remembers what was asked of it; for one Dockerfile, in one thread."""

    def __init__(self, find: FindBase) -> None:
        self._find = find
        self._used: dict[tuple[str, str], BaseUse] = {}

    @property
    def used(self) -> tuple[BaseUse, ...]:
        """The bases, in the order in which they were asked for."""
        return tuple(self._used.values())

    def __call__(self, ref: str, platform: Platform) -> Base:
        """What a FROM brings along."""
        try:
            base = self._find(ref, platform)
        except EngineBaseError as error:
            self._note(BaseUse(ref, error.inputs, ours=True))
            raise
        self._note(BaseUse(ref, base.inputs, ours=is_lambda_base(ref)))
        return base

    def _note(self, use: BaseUse) -> None:
        self._used[use.ref, use.inputs] = use


def plan_work(
    root: Path,
    dockerfile: str,
    context_of: ContextOf,
    bases: NotedBases,
    *,
    platforms: tuple[Platform, ...],
    method: Method,
    build_args: Mapping[str, str] | None = None,
) -> Work:
    """How the image of the Dockerfile at this path below `root` is made.

    Raises:
        ArtifactError: it is missing or wrong, or needs an engine where there is none.
        WorldError: a base can't be asked for.
        OSError: something can't be read.
    """
    path, text = read_dockerfile(root, dockerfile)
    context = Touched(context_of(dockerfile))
    args = dict(build_args or {})
    recipes: list[Recipe] = []
    for platform in platforms:
        around = Surroundings(context, bases, platform, args, exact=method.may_build)
        try:
            recipes.append(interpret(parse_dockerfile(text, str(path)), around))
        except DockerfileError as error:
            if not (error.only_unsupported and method.may_build):
                raise
    if len(recipes) == len(platforms) and method.builder is not Builder.BUILDX:
        return Assembly(tuple(recipes))
    return Build(path, text, context.entries, platforms, args, bases.used)
