"""Which files of the build context an image depends on, also where only an engine can build it.

An engine is given these files and no others, so that the input digest over them is the whole truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from artifactctl.images.dockerfile import Instruction
from artifactctl.images.stage import Stage
from artifactctl.images.tree import FileEntry, FileKind, Tree, resolve, select, walk
from artifactctl.images.words import json_words, split_plain

_REMOTE = ("://", "git@")


class BuildContext(Tree, Protocol):
    """The files that COPY may take, less what is excluded."""

    def exclusions(self) -> str:
        """What to think of when a file isn't there; nothing when none is excluded."""


class Touched:
    """A build context that remembers what was asked of it; for one Dockerfile, in one thread."""

    def __init__(self, context: BuildContext) -> None:
        self._context = context
        self._entries: dict[str, FileEntry] = {}

    @property
    def entries(self) -> tuple[FileEntry, ...]:
        """What was found, sorted by path: directories before what is in them."""
        return tuple(self._entries[path] for path in sorted(self._entries))

    def get(self, path: str) -> FileEntry | None:
        """The entry with this path, remembered."""
        entry = self._context.get(path)
        if entry and path:
            self._entries[path] = entry
        return entry

    def children(self, path: str) -> Sequence[str]:
        """The sorted names in a directory."""
        return self._context.children(path)

    def exclusions(self) -> str:
        """What to think of when a file isn't there."""
        return self._context.exclusions()


def touch(context: Tree, stage: Stage, instruction: Instruction) -> None:
    """Ask for all files of the context that an instruction which isn't interpreted may read.

    Raises:
        FieldError: a source is malformed.
        OSError: a file can't be read.
    """
    for pattern in _sources(stage, instruction):
        for path in select(context, pattern):
            found = resolve(context, path)
            entry = context.get(found)
            if entry and entry.kind is FileKind.DIRECTORY:
                for _ in walk(context, found):
                    pass


def mounted_images(stage: Stage, instruction: Instruction) -> Iterator[str]:
    """The stages and images a RUN mounts."""
    for mount in _mounts(instruction):
        if "from" in mount:
            yield stage.expand(mount["from"])


def _sources(stage: Stage, instruction: Instruction) -> Iterator[str]:
    if instruction.keyword == "RUN":
        for mount in _mounts(instruction):
            if mount.get("type", "bind") == "bind" and "from" not in mount:
                yield stage.expand(mount.get("source", mount.get("src", "")))
        return
    if instruction.keyword not in ("ADD", "COPY") or "from" in dict(instruction.flags):
        return
    words = json_words(instruction.rest)
    for word in (split_plain(instruction.rest) if words is None else words)[:-1]:
        source = stage.expand(word)
        if not source.startswith("<<") and not any(mark in source for mark in _REMOTE):
            yield source


def _mounts(instruction: Instruction) -> Iterator[dict[str, str]]:
    for name, value in instruction.flags:
        if name == "mount":
            pairs = (part.partition("=") for part in value.split(","))
            yield {key.strip().lower(): text for key, _, text in pairs}
