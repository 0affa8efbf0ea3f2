"""One stage of a Dockerfile while it is interpreted, and the instructions that only change its configuration.

Docker's semantics; nothing here touches files. COPY is `copying`, FROM and the order of stages are
`interpret`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping

from artifact_contract.errors import FieldError, Kind, Place, Problem, Severity
from attrs import define, evolve, field

from artifactctl.images.dockerfile import Instruction
from artifactctl.images.layers import Layer
from artifactctl.images.recipe import Base, ImageConfig, Platform
from artifactctl.images.tree import ImageTree, ancestors, directory, resolve
from artifactctl.images.words import (
    UnsupportedError,
    expand,
    json_words,
    split_pairs,
    split_plain,
    split_quoted,
)

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_SHELL = ("/bin/sh", "-c")
_SHOWN = 60
_PATH_BYTES = 4095
_NAME_BYTES = 255


@define(eq=False)
class Stage:
    """The state between two instructions."""

    file: str
    number: int
    name: str
    platform: Platform
    base: Base
    escape: str = "\\"
    exact: bool = False
    config: ImageConfig = field(factory=ImageConfig)
    layers: list[Layer] = field(factory=list)
    tree: ImageTree = field(factory=ImageTree)
    args: dict[str, str | None] = field(factory=dict)
    cmd_is_own: bool = False
    uses: set[int] = field(factory=set)
    problems: list[Problem] = field(factory=list)
    unsupported: list[Problem] = field(factory=list)

    def lookup(self, name: str) -> str | None:
        """A variable: ENV before ARG, as in Docker, then what the base is known to set."""
        if name in self.config.env:
            return self.config.env[name]
        if name in self.args:
            return self.args[name]
        return self.base.variables.get(name)

    def expand(self, text: str) -> str:
        """The text with this stage's variables in it."""
        return expand(text, self.lookup, self.escape)

    def path(self, text: str) -> str:
        """An absolute path; a relative one starts at the working directory.

        Raises:
            FieldError: no file system could hold it.
        """
        path = posixpath.normpath(posixpath.join("/", self.config.workdir, text))
        if len(path.encode()) > _PATH_BYTES or any(
            len(name.encode()) > _NAME_BYTES for name in path.split("/")
        ):
            limits = f"a path of at most {_PATH_BYTES} bytes, {_NAME_BYTES} a name"
            raise FieldError(limits, f"{path[:_SHOWN]}…", kind=Kind.PATH)
        return path

    def warn(self, instruction: Instruction, expected: str, found: str, *, hint: str = "") -> None:
        """Note what is accepted and yet not done as written; `--strict` refuses it."""
        place = Place(self.file, instruction.line)
        self.problems.append(Problem(place, instruction.keyword, expected, found, hint, Severity.STRICT))

    def note(self, instruction: Instruction, error: FieldError) -> None:
        """Keep an error with its place, apart when only this builder is at fault."""
        place = Place(self.file, instruction.line)
        (self.unsupported if isinstance(error, UnsupportedError) else self.problems).append(
            error.at(place, instruction.keyword)
        )


Handler = Callable[[Stage, Instruction], None]


def unsupported(instruction: Instruction, why: str) -> UnsupportedError:
    """The error for something that Docker can do and direct assembly can't."""
    text = instruction.text if len(instruction.text) <= _SHOWN else f"{instruction.text[:_SHOWN]}…"
    hint = "the buildx builder handles it, for the targets registry and docker"
    return UnsupportedError(why, text, hint=hint)


def not_interpreted(_stage: Stage, instruction: Instruction) -> None:
    """RUN and everything else that needs an engine."""
    raise unsupported(instruction, "an instruction that direct assembly interprets")


def take_flags(instruction: Instruction, known: Iterable[str] = ()) -> dict[str, str]:
    """The flags by name.

    Raises:
        FieldError: one that this instruction doesn't have.
    """
    for name, _ in instruction.flags:
        if name not in known:
            raise FieldError("flags this instruction has", f"--{name}")
    return dict(instruction.flags)


def _pairs(stage: Stage, instruction: Instruction) -> Mapping[str, str]:
    # all values see the variables as they were before this line
    pairs = split_pairs(instruction.rest, stage.escape)
    expanded = {stage.expand(name): stage.expand(value) for name, value in pairs}
    if "" in expanded:
        raise FieldError("a name before =", repr(instruction.rest))
    return expanded


def _env(stage: Stage, instruction: Instruction) -> None:
    stage.config = evolve(stage.config, env={**stage.config.env, **_pairs(stage, instruction)})


def _label(stage: Stage, instruction: Instruction) -> None:
    stage.config = evolve(stage.config, labels={**stage.config.labels, **_pairs(stage, instruction)})


def arg_values(
    instruction: Instruction, escape: str, expanded: Callable[[str], str]
) -> list[tuple[str, str | None]]:
    """The names an ARG declares, each with its default or nothing."""
    words = split_quoted(instruction.rest, escape)
    if not words:
        raise FieldError("ARG name or ARG name=default", "nothing")
    found: list[tuple[str, str | None]] = []
    for word in words:
        name, equals, default = word.partition("=")
        if not name:
            raise FieldError("a name before =", repr(word))
        found.append((expanded(name), expanded(default) if equals else None))
    return found


def _command(stage: Stage, instruction: Instruction) -> tuple[str, ...]:
    words = json_words(instruction.rest)
    if words is not None:
        return tuple(words)
    if not instruction.rest:
        raise FieldError("a command", "nothing")
    if instruction.rest.startswith("["):
        stage.warn(instruction, "a JSON array of strings", instruction.rest, hint="taken as a shell command")
    return (*_SHELL, instruction.rest)


def _cmd(stage: Stage, instruction: Instruction) -> None:
    stage.config = evolve(stage.config, cmd=_command(stage, instruction))
    stage.cmd_is_own = True


def _entrypoint(stage: Stage, instruction: Instruction) -> None:
    # a command of the base was meant for the base's entry point
    cmd = stage.config.cmd if stage.cmd_is_own else None
    stage.config = evolve(stage.config, entrypoint=_command(stage, instruction), cmd=cmd)


def _one_word(stage: Stage, instruction: Instruction) -> str:
    value = stage.expand(instruction.rest)
    if not value:
        raise FieldError("a value", repr(instruction.rest) if instruction.rest else "nothing")
    return value


def _workdir(stage: Stage, instruction: Instruction) -> None:
    path = stage.path(_one_word(stage, instruction))
    stage.config = evolve(stage.config, workdir=path)
    # it exists from now on, though no layer says so before something is copied into it
    inside = resolve(stage.tree, path.lstrip("/"))
    for known in (*ancestors(inside), inside):
        if known and stage.tree.get(known) is None:
            stage.tree.put(directory(known))


def _user(stage: Stage, instruction: Instruction) -> None:
    stage.config = evolve(stage.config, user=_one_word(stage, instruction))


def _stop_signal(stage: Stage, instruction: Instruction) -> None:
    stage.config = evolve(stage.config, stop_signal=_one_word(stage, instruction))


def _expose(stage: Stage, instruction: Instruction) -> None:
    ports = set(stage.config.ports)
    for word in split_plain(stage.expand(instruction.rest)):
        found = _PORT.fullmatch(word)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
        if not found or not 0 < first <= last < 65536:
            raise FieldError("ports such as 80, 53/udp or 8000-8009", repr(word))
        ports.update(f"{port}/{(found[3] or 'tcp').lower()}" for port in range(first, last + 1))
    stage.config = evolve(stage.config, ports=tuple(sorted(ports)))


def _volume(stage: Stage, instruction: Instruction) -> None:
    words = json_words(instruction.rest)
    found = [stage.expand(word) for word in (split_plain(instruction.rest) if words is None else words)]
    if not found or "" in found:
        raise FieldError("paths", repr(instruction.rest))
    stage.config = evolve(stage.config, volumes=tuple(sorted({*stage.config.volumes, *found})))


def _maintainer(_stage: Stage, _instruction: Instruction) -> None:
    """Deprecated and without effect on a container: left out."""


CONFIG_HANDLERS: Mapping[str, Handler] = {
    "ENV": _env,
    "LABEL": _label,
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "WORKDIR": _workdir,
    "USER": _user,
    "STOPSIGNAL": _stop_signal,
    "EXPOSE": _expose,
    "VOLUME": _volume,
    "MAINTAINER": _maintainer,
    **dict.fromkeys(("RUN", "ADD", "HEALTHCHECK", "ONBUILD", "SHELL"), not_interpreted),
}
