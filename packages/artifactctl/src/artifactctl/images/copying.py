"""COPY: from the build context, or another stage, to a layer.

A directory's contents are copied, not the directory; a destination that ends with `/`, or is a directory
already, takes files by their names. Links below a source are kept, a source that is a link is followed.
Everything belongs to 0:0.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from artifact_contract.errors import FieldError, Kind
from attrs import evolve, frozen

from artifactctl.images.dockerfile import Instruction
from artifactctl.images.layers import Layer, check_target
from artifactctl.images.stage import Stage, take_flags, unsupported
from artifactctl.images.tree import (
    FileEntry,
    FileKind,
    Tree,
    ancestors,
    directory,
    join,
    moved,
    resolve,
    select,
    walk,
)
from artifactctl.images.words import json_words, split_plain

_ROOT_OWNERS = {"0", "root", "0:0", "0:root", "root:0", "root:root"}
_KNOWN_FLAGS = ("from", "chown", "chmod", "link")
_WHITEOUT = ".wh."
_ENGINE_FLAGS = ("parents", "exclude")


@frozen
class Source:
    """Where COPY takes files from; `missing` says what to think of when one isn't there.

    In the directories of `unseen` there may be more than is known.
    """

    tree: Tree
    name: str
    is_context: bool = True
    missing: str = ""
    unseen: Tree | None = None


@frozen
class _Copy:
    """The parsed instruction."""

    sources: tuple[str, ...]
    destination: str
    mode: int | None


def copy(stage: Stage, instruction: Instruction, source: Source) -> None:
    """Add the layer that one COPY makes.

    Raises:
        FieldError: a source is missing or leaves the context, or the destination can't take it.
        OSError: a file can't be read.
    """
    wanted = _parse(stage, instruction)
    entries: dict[str, FileEntry] = {}
    if stage.exact and source.unseen and not all(select(source.tree, one) for one in wanted.sources):
        raise unsupported(instruction, "files that are at hand")
    found = [path for pattern in wanted.sources for path in _find(pattern, source)]
    target = resolve(stage.tree, join(stage.path(wanted.destination)))
    into = _takes_names(stage, wanted.destination, target)
    if len(found) > 1 and not _names_directory(wanted.destination):
        raise FieldError(
            "a destination that ends with / for several sources", repr(wanted.destination), kind=Kind.PATH
        )
    for path in found:
        if source.unseen and source.unseen.get(resolve(source.tree, path)):
            if stage.exact:
                raise unsupported(instruction, "files that are at hand")
            stage.warn(instruction, "all files to be at hand", f"/{path}", hint=source.missing)
        for entry in _copied(source.tree, path, target, into=into):
            entries[entry.path] = _with_mode(entry, wanted.mode)
    _add_layer(stage, instruction, entries)


def _parse(stage: Stage, instruction: Instruction) -> _Copy:
    for name, _ in instruction.flags:
        if name in _ENGINE_FLAGS:
            raise unsupported(instruction, "flags that direct assembly interprets")
    flags = take_flags(instruction, _KNOWN_FLAGS)
    if instruction.heredocs:
        raise unsupported(instruction, "files to copy, no here-document")
    words = json_words(instruction.rest)
    expanded = [stage.expand(word) for word in (split_plain(instruction.rest) if words is None else words)]
    if len(expanded) < 2 or "" in expanded:
        raise FieldError("sources and a destination", repr(instruction.rest))
    owner = stage.expand(flags.get("chown", "0"))
    if owner not in _ROOT_OWNERS:
        if stage.exact:
            raise unsupported(instruction, "files that belong to 0:0")
        stage.warn(
            instruction, "files that belong to 0:0", f"--chown={owner}", hint="they will belong to 0:0"
        )
    return _Copy(tuple(expanded[:-1]), expanded[-1], _mode(stage, instruction, flags.get("chmod")))


def _mode(stage: Stage, instruction: Instruction, text: str | None) -> int | None:
    if text is None:
        return None
    expanded = stage.expand(text)
    if re.fullmatch(r"[0-7]{3,4}", expanded):
        return int(expanded, 8)
    if re.fullmatch(r"[ugoa]*[-+=][rwxXst,ugoa=+-]*", expanded):
        raise unsupported(instruction, "--chmod with an octal number")
    raise FieldError("--chmod with an octal number such as 0755", repr(expanded))


def _find(pattern: str, source: Source) -> list[str]:
    if source.is_context and _climbs(pattern):
        raise FieldError(f"sources inside {source.name}", repr(pattern), kind=Kind.PATH)
    found = select(source.tree, pattern)
    if not found:
        raise FieldError(
            f"a file or directory in {source.name}", f"nothing at {pattern!r}", hint=source.missing
        )
    return found


def _climbs(path: str) -> bool:
    depth = 0
    for segment in path.split("/"):
        depth += (segment not in ("", ".", "..")) - (segment == "..")
        if depth < 0:
            return True
    return False


def _names_directory(destination: str) -> bool:
    return posixpath.basename(destination) in ("", ".", "..")


def _takes_names(stage: Stage, destination: str, target: str) -> bool:
    if _names_directory(destination):
        return True
    existing = stage.tree.get(target)
    return existing is not None and existing.kind is FileKind.DIRECTORY


def _copied(tree: Tree, path: str, target: str, *, into: bool) -> Iterable[FileEntry]:
    resolved = resolve(tree, path)
    entry = tree.get(resolved)
    if entry is None:
        raise FieldError("a link to a file or directory", f"{path!r}, which leads nowhere", kind=Kind.PATH)
    if entry.kind is not FileKind.DIRECTORY:
        yield moved(entry, join(target, posixpath.basename(path)) if into else target)
        return
    if target:
        yield moved(entry, target)
    for below in walk(tree, resolved):
        # neither part has anything to normalise
        yield moved(below, f"{target}/{below.path[len(resolved) :].lstrip('/')}".lstrip("/"))


def _with_mode(entry: FileEntry, mode: int | None) -> FileEntry:
    return entry if mode is None or entry.kind is FileKind.SYMLINK else evolve(entry, mode=mode)


def _add_layer(stage: Stage, instruction: Instruction, entries: dict[str, FileEntry]) -> None:
    kept = {path: _checked(stage, entry) for path, entry in entries.items()}
    for path in entries:
        for above in ancestors(path):
            if above not in kept:
                kept[above] = _checked(stage, directory(above))
    layer = Layer(
        tuple(entry for entry in kept.values() if entry.path not in stage.base.maybe_links), instruction.text
    )
    stage.layers.append(layer)
    for entry in sorted(kept.values(), key=lambda one: one.path):
        stage.tree.put(entry)


def _checked(stage: Stage, entry: FileEntry) -> FileEntry:
    """The entry as it stands beside what is in the image: a directory that exists stays as it is."""
    if posixpath.basename(entry.path).startswith(_WHITEOUT):
        # in a layer it would be no file: whoever unpacks it removes what the rest of the name says
        raise FieldError(f"names that don't start with {_WHITEOUT}", f"/{entry.path}", kind=Kind.PATH)
    existing = stage.tree.get(entry.path)
    wants_directory = entry.kind is FileKind.DIRECTORY
    if existing and wants_directory and existing.kind is FileKind.FILE:
        raise FieldError("a directory in the image", f"the file /{entry.path}", kind=Kind.PATH)
    if existing and not wants_directory and existing.kind is FileKind.DIRECTORY:
        raise FieldError("a file or nothing in the image", f"the directory /{entry.path}", kind=Kind.PATH)
    if entry.kind is FileKind.SYMLINK:
        check_target(entry)
    return existing if existing and wants_directory and existing.kind is FileKind.DIRECTORY else entry
