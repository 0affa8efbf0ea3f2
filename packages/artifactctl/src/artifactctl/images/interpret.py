"""What a Dockerfile means: from instructions to a `Recipe`, stage by stage.

    Dockerfile ─stages▶ [Stage] ─those the last one needs▶ Recipe, or every problem of the file together

ARGs before the first FROM count in FROM lines, and in a stage that names them again. The last stage is the
image; problems of stages it doesn't need are nobody's problem, as in Docker.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress

from artifact_contract.errors import (
    ArtifactError,
    FieldError,
    Place,
    Problem,
    Severity,
)
from attrs import define, field, frozen

from artifactctl.images.bases import SCRATCH
from artifactctl.images.copying import Source, copy
from artifactctl.images.dockerfile import Dockerfile, Instruction
from artifactctl.images.layers import Layer
from artifactctl.images.recipe import Base, Platform, Recipe, parse_platform
from artifactctl.images.stage import (
    CONFIG_HANDLERS,
    Stage,
    arg_values,
    not_interpreted,
    take_flags,
)
from artifactctl.images.touched import BuildContext, mounted_images, touch
from artifactctl.images.tree import ImageTree
from artifactctl.images.words import UnsupportedError, expand, split_plain

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")

FindBase = Callable[[str, Platform], Base]


class DockerfileError(ArtifactError):
    """A Dockerfile can't be built; with `only_unsupported`, not by direct assembly."""

    def __init__(self, problems: tuple[Problem, ...], *, only_unsupported: bool) -> None:
        super().__init__(problems)
        self.only_unsupported = only_unsupported


@frozen
class Surroundings:
    """What a Dockerfile is interpreted with.

    With `exact`, what would come out otherwise than an engine does it is unsupported, not a warning: there is
    an engine that can be asked instead.
    """

    context: BuildContext
    find_base: FindBase
    platform: Platform
    build_args: Mapping[str, str] = field(factory=dict)
    exact: bool = False


def interpret(dockerfile: Dockerfile, surroundings: Surroundings) -> Recipe:
    """The recipe of a Dockerfile's last stage.

    Raises:
        DockerfileError: something is wrong with it; carries all its problems in the order of their lines.
        OSError: a file can't be read.
    """
    run = _Run(dockerfile, surroundings)
    for instruction in dockerfile.instructions:
        run.take(instruction)
    needed = run.needed()
    problems = [*dockerfile.problems, *run.problems, *(one for stage in needed for one in stage.problems)]
    unsupported = [one for stage in needed for one in stage.unsupported]
    errors = [one for one in problems if one.severity is Severity.ERROR]
    if errors or unsupported:
        everything = sorted([*errors, *unsupported], key=lambda one: one.place.line or 0)
        raise DockerfileError(tuple(everything), only_unsupported=not errors)
    stage = needed[-1]
    return Recipe(
        platform=stage.platform,
        base=stage.base,
        config=stage.config,
        # an image needs one layer at least
        layers=tuple(stage.layers) or (() if stage.base.remote else (Layer(()),)),
        tree=stage.tree,
        warnings=tuple(problems),
    )


@define(eq=False)
class _Run:
    dockerfile: Dockerfile
    surroundings: Surroundings
    stages: list[Stage] = field(factory=list)
    globals: dict[str, str | None] = field(init=False)
    problems: list[Problem] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.globals = dict(_platform_args(self.surroundings.platform))
        instructions = self.dockerfile.instructions
        # without any the parser has said what is wrong
        if instructions and not any(one.keyword == "FROM" for one in instructions):
            self.problems.append(Problem(Place(self.dockerfile.file, 1), "FROM", "at least one FROM", "none"))

    def take(self, instruction: Instruction) -> None:
        try:
            if instruction.keyword == "FROM":
                self._start_stage(instruction)
            elif not self.stages:
                self._before_first_stage(instruction)
            else:
                self._in_stage(self.stages[-1], instruction)
        except FieldError as error:
            if self.stages and isinstance(error, UnsupportedError):
                self._note_needs(self.stages[-1], instruction)
            if self.stages:
                self.stages[-1].note(instruction, error)
            else:
                self.problems.append(
                    error.at(Place(self.dockerfile.file, instruction.line), instruction.keyword)
                )

    def _note_needs(self, stage: Stage, instruction: Instruction) -> None:
        """Ask for the files and images that an engine will read here."""
        with suppress(FieldError):  # an engine says better what is wrong with a line that only it knows
            touch(self.surroundings.context, stage, instruction)
            for name in mounted_images(stage, instruction):
                if not self._find_stage(stage, name):
                    self.surroundings.find_base(name, stage.platform)

    def needed(self) -> list[Stage]:
        """The last stage and all it builds on or copies from, in order."""
        pending, found = [len(self.stages) - 1] if self.stages else [], set[int]()
        while pending:
            number = pending.pop()
            found.add(number)
            pending += self.stages[number].uses - found
        return [self.stages[number] for number in sorted(found)]

    def _before_first_stage(self, instruction: Instruction) -> None:
        if instruction.keyword != "ARG":
            raise FieldError("FROM before everything but ARG", instruction.keyword)
        take_flags(instruction)
        for name, default in arg_values(instruction, self.dockerfile.escape, self._expand_global):
            self.globals[name] = self.surroundings.build_args.get(name, default or self.globals.get(name))

    def _expand_global(self, text: str) -> str:
        return expand(text, self.globals.get, self.dockerfile.escape)

    def _start_stage(self, instruction: Instruction) -> None:
        # the stage comes first, so that its other problems are found too when its FROM is wrong
        stage = Stage(
            file=self.dockerfile.file,
            number=len(self.stages),
            name="",
            platform=self.surroundings.platform,
            base=SCRATCH,
            escape=self.dockerfile.escape,
            exact=self.surroundings.exact,
        )
        self.stages.append(stage)
        flags = take_flags(instruction, ("platform",))
        words = split_plain(instruction.rest)
        if len(words) not in (1, 3) or (len(words) == 3 and words[1].upper() != "AS"):
            raise FieldError("FROM image [AS name]", repr(instruction.rest))
        stage.name = words[2].lower() if len(words) == 3 else ""
        if stage.name and not _STAGE_NAME.fullmatch(stage.name):
            raise FieldError("a stage name of letters, digits, -, _ and .", repr(words[2]))
        if "platform" in flags:
            stage.platform = parse_platform(self._expand_global(flags["platform"]))
        ref = self._expand_global(words[0])
        if not ref:
            raise FieldError("an image", f"{words[0]!r}, which is nothing")
        self._found_on(stage, instruction, ref)

    def _found_on(self, stage: Stage, instruction: Instruction, ref: str) -> None:
        parent = self._stage_named(ref, before=stage.number)
        if parent is not None:
            stage.uses.add(parent.number)
            stage.base, stage.config, stage.args = parent.base, parent.config, dict(parent.args)
            stage.layers, stage.tree = list(parent.layers), parent.tree.copy()
            return
        stage.base = SCRATCH if ref == "scratch" else self.surroundings.find_base(ref, stage.platform)
        stage.config = stage.base.config
        stage.layers, stage.tree = list(stage.base.layers), stage.base.tree.copy()
        if stage.base.warning:
            place = Place(stage.file, instruction.line)
            stage.problems.append(
                Problem(
                    place,
                    "FROM",
                    "a base that is at hand",
                    ref,
                    stage.base.warning,
                    severity=Severity.WARNING,
                )
            )

    def _stage_named(self, name: str, *, before: int) -> Stage | None:
        named = [stage for stage in self.stages[:before] if stage.name == name.lower()]
        return named[-1] if named else None

    def _find_stage(self, stage: Stage, name: str) -> Stage | None:
        other = self._stage_named(name, before=stage.number)
        if other is None and name.isdecimal() and int(name) < stage.number:
            return self.stages[int(name)]
        return other

    def _in_stage(self, stage: Stage, instruction: Instruction) -> None:
        if instruction.keyword == "COPY":
            copy(stage, instruction, self._source(stage, instruction))
        elif instruction.keyword == "ARG":
            take_flags(instruction)
            self._declare(stage, instruction)
        else:
            handler = CONFIG_HANDLERS[instruction.keyword]
            if handler is not not_interpreted:
                take_flags(instruction)
            handler(stage, instruction)

    def _declare(self, stage: Stage, instruction: Instruction) -> None:
        for name, default in arg_values(instruction, stage.escape, stage.expand):
            inherited = self.globals.get(name) if default is None else default
            stage.args[name] = self.surroundings.build_args.get(name, inherited)

    def _source(self, stage: Stage, instruction: Instruction) -> Source:
        name = dict(instruction.flags).get("from")
        if name is None:
            context = self.surroundings.context
            return Source(context, "the build context", missing=context.exclusions())
        if not name:
            raise FieldError("--from=stage or image", "--from")
        other = self._find_stage(stage, name)
        if other is not None:
            stage.uses.add(other.number)
            return _from_image(other.tree, f"stage {name!r}", other.base)
        base = self.surroundings.find_base(name, stage.platform)
        return _from_image(base.tree, f"image {name!r}", base)


def _from_image(tree: ImageTree, name: str, base: Base) -> Source:
    if base.complete:
        return Source(tree, name, is_context=False)
    missing = f"files of {base.name} are not at hand here"
    return Source(tree, name, is_context=False, missing=missing, unseen=base.tree)


def _platform_args(platform: Platform) -> Mapping[str, str]:
    """The arguments Docker sets by itself; nothing runs here, so that both platforms are the same."""
    parts = {
        "PLATFORM": str(platform),
        "OS": platform.os,
        "ARCH": platform.architecture,
        "VARIANT": platform.variant,
    }
    return {f"{side}{name}": value for side in ("TARGET", "BUILD") for name, value in parts.items()}
