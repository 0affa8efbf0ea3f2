"""Files as an image sees them: a build context, and what is in an image so far.

Paths have no leading slash; the root is the empty path. Symbolic links never lead above the root.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Protocol

from artifact_contract.errors import FieldError
from attrs import field, frozen

from artifactctl.images.patterns import has_wildcards, match_segment, plain_name

_MOST_LINKS = 40
_DOTS = (".", "..")
DIRECTORY_MODE = 0o755


class FileKind(Enum):
    """What an entry is; the value is its type flag in a tar header."""

    FILE = "0"
    SYMLINK = "2"
    DIRECTORY = "5"


@frozen
class Content:
    """The bytes of a file on this disk, as they were when hashed; where they lie is not compared."""

    sha256: str
    size: int
    path: str = field(eq=False)
    mtime_ns: int = field(eq=False)


@frozen
class FileEntry:
    """One file, directory or symbolic link, with all that an image keeps of it; owner and times are 0."""

    path: str
    kind: FileKind
    mode: int
    content: Content | None = None
    target: str = ""


def moved(entry: FileEntry, path: str) -> FileEntry:
    """The entry with another path. `evolve` takes ten times as long, and there may be thousands."""
    return FileEntry(path, entry.kind, entry.mode, entry.content, entry.target)


class Tree(Protocol):
    """Something with files in it."""

    def get(self, path: str) -> FileEntry | None:
        """The entry with this path, links not followed; the root exists."""

    def children(self, path: str) -> Sequence[str]:
        """The sorted names in a directory."""


def directory(path: str, mode: int = DIRECTORY_MODE) -> FileEntry:
    """A directory entry."""
    return FileEntry(path, FileKind.DIRECTORY, mode)


def join(*parts: str) -> str:
    """Parts of a path as one below the root; `.` and extra slashes vanish, `..` stops at the root."""
    return posixpath.normpath("/" + "/".join(parts)).lstrip("/")


def ancestors(path: str) -> Iterator[str]:
    """The directories above a path from the top, without the root: `a/b/c` gives `a`, `a/b`."""
    position = path.find("/")
    while position >= 0:
        yield path[:position]
        position = path.find("/", position + 1)


class ImageTree:
    """The files known to be in an image; `put` adds one as a later layer would, hiding what was there."""

    def __init__(self, entries: dict[str, FileEntry] | None = None) -> None:
        self._entries: dict[str, FileEntry] = dict(entries or {})
        self._names: dict[str, list[str]] | None = None

    def copy(self) -> ImageTree:
        """A tree of its own with the same files."""
        return ImageTree(self._entries)

    def get(self, path: str) -> FileEntry | None:
        """The entry with this path; the root exists."""
        return directory("") if not path else self._entries.get(path)

    def children(self, path: str) -> Sequence[str]:
        """The sorted names in a directory."""
        if self._names is None:
            names: dict[str, list[str]] = {}
            for known in sorted(self._entries):
                above, _, name = known.rpartition("/")
                names.setdefault(above, []).append(name)
            self._names = names
        return self._names.get(path, ())

    def put(self, entry: FileEntry) -> None:
        """Add an entry; a directory keeps what is in a directory of that name, anything else replaces it."""
        before = self._entries.get(entry.path)
        if before and before.kind is FileKind.DIRECTORY and entry.kind is not FileKind.DIRECTORY:
            hidden = f"{entry.path}/"
            self._entries = {
                name: kept for name, kept in self._entries.items() if not name.startswith(hidden)
            }
        self._entries[entry.path] = entry
        self._names = None


def resolve(tree: Tree, path: str) -> str:
    """The path with every link on it followed inside the tree; what doesn't exist is kept as written.

    Raises:
        FieldError: the links go round in a circle.
    """
    pending = [segment for segment in path.split("/") if segment]
    done = ""
    links = 0
    while pending:
        segment = pending.pop(0)
        done = join(done, segment) if segment in _DOTS else f"{done}/{segment}" if done else segment
        entry = tree.get(done)
        if entry is None or entry.kind is not FileKind.SYMLINK:
            continue
        links += 1
        if links > _MOST_LINKS:
            raise FieldError("a path that ends", f"symbolic links in a circle at {path!r}")
        start = "" if entry.target.startswith("/") else posixpath.dirname(done)
        pending = [segment for segment in join(start, entry.target).split("/") if segment] + pending
        done = ""
    return done


def select(tree: Tree, pattern: str) -> list[str]:
    """The paths a COPY source names, sorted; with `*`, `?` or `[…]` there may be none, several or one.

    Raises:
        FieldError: the pattern is malformed.
    """
    found = [""]
    for segment in join(pattern).split("/"):
        if not segment:
            continue
        if has_wildcards(segment):
            names = [
                join(at, name) for at in found for name in _names(tree, at) if match_segment(segment, name)
            ]
            found = [name for name in names if tree.get(name)]
        else:
            plain = plain_name(segment)
            found = [join(at, plain) for at in found if tree.get(resolve(tree, join(at, plain)))]
    return found


def _names(tree: Tree, path: str) -> Sequence[str]:
    entry = tree.get(resolve(tree, path))
    return tree.children(resolve(tree, path)) if entry and entry.kind is FileKind.DIRECTORY else ()


def walk(tree: Tree, path: str) -> Iterator[FileEntry]:
    """Everything below a directory, parents first, links not followed."""
    for name in tree.children(path):
        entry = tree.get(f"{path}/{name}" if path else name)
        if entry is None:
            continue
        yield entry
        if entry.kind is FileKind.DIRECTORY:
            yield from walk(tree, entry.path)
