"""An artifact's files on the disk: read whole, walked in order, never followed out (contract §5, §6).

A link below the root must be relative and lead to something inside: an absolute one, or one that passes
outside on its way, would lead somewhere else once the artifact has moved. A link to a file counts as
that file, a link to a directory as that directory.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from pathlib import Path

from attrs import define, field, frozen

from artifact_contract.digests import Sha256, directory_digest
from artifact_contract.errors import FieldError, Kind, PathError, Place, Problem, SchemaError

MAX_NAMES = 1_000_000
MAX_LEVELS = 200
# file_digest makes a buffer of this size, which takes longer than to read and hash most files of code
_AT_ONCE = 256 * 1024


def _rejected(path: Path, expected: str, found: str, hint: str = "") -> PathError:
    return PathError([Problem(Place(str(path)), "", expected, found, hint, kind=Kind.PATH)])


def read_file(path: Path, *, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes.

    Raises:
        SchemaError: there is no such file, it is something else, or it is larger; it isn't read then.
        OSError: it can't be read.
    """
    try:
        return read_at(path.name, path, None, limit=limit)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SchemaError([Problem(Place(str(path)), "", "a file", "nothing")]) from error


def read_at(name: str, path: Path, directory: int | None, *, limit: int) -> bytes:
    """`read_file` below an open directory; `path` is what messages say.

    Raises:
        SchemaError: it is no regular file, or it is larger than `limit`.
        OSError: it isn't there or can't be read.
    """
    # O_NONBLOCK: opening a FIFO for reading would wait for somebody to write to it
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    handle = os.open(name if directory is not None else path, flags, dir_fd=directory)
    try:
        _check_regular(os.fstat(handle), path, limit)
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(handle)


def _check_regular(state: os.stat_result, path: Path, limit: int) -> None:
    if not stat.S_ISREG(state.st_mode):
        found = "a directory" if stat.S_ISDIR(state.st_mode) else "something else"
        raise SchemaError([Problem(Place(str(path)), "", "a file", found)])
    if state.st_size > limit:
        found = f"{state.st_size / (1 << 20):.1f} MiB"
        raise SchemaError([Problem(Place(str(path)), "", f"at most {limit >> 20} MiB", found)])


@define
class Tree:
    """What lies below a directory: its files by their path with `/`, and what is wrong with it."""

    files: list[tuple[str, Path]] = field(factory=list)
    problems: list[Problem] = field(factory=list)
    names: int = 0


def scan(root: Path) -> Tree:
    """Everything below `root`, files sorted bytewise, bad links and special files as problems.

    Raises:
        PathError: `root` isn't a directory, or has more names or levels than any artifact.
        OSError: a directory can't be read.
    """
    if not root.is_dir():
        raise _rejected(root, "a directory", "something else" if root.exists() else "nothing")
    walk = _Walk(root, os.path.realpath(root))
    walk.directory("", (walk.top,))
    walk.found.files.sort(key=lambda file: os.fsencode(file[0]))
    return walk.found


@frozen
class _Walk:
    """One walk through a root, whose real path is `top`."""

    root: Path
    top: str
    found: Tree = field(factory=Tree)

    def directory(self, below: str, above: tuple[str, ...]) -> None:
        """Add what is in the directory `below`; `above` are the real directories on the way, it included."""
        if len(above) > MAX_LEVELS:
            raise _rejected(self.root / below, f"at most {MAX_LEVELS} levels of directories", "more")
        with os.scandir(above[-1]) as names:
            entries = list(names)
        # links can make few directories look like very many
        self.found.names += len(entries)
        if self.found.names > MAX_NAMES:
            raise _rejected(self.root, f"at most {MAX_NAMES} files and directories", "more")
        for entry in entries:
            self.entry(f"{below}{entry.name}", entry, above)

    def entry(self, relative: str, entry: os.DirEntry[str], above: tuple[str, ...]) -> None:
        """Add one name of a directory."""
        fact = self.link_fact(relative, entry.path) if entry.is_symlink() else None
        if fact:
            self.problem(relative, *fact)
        elif entry.is_dir():
            target = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
            if target in above:
                self.problem(relative, "a tree", "a link to a directory it is in")
            else:
                self.directory(f"{relative}/", (*above, target))
        elif entry.is_file():
            self.found.files.append((relative, self.root / relative))
        else:
            self.problem(relative, "a file or a directory", "something else")

    def link_fact(self, relative: str, path: str) -> tuple[str, str] | None:
        """What is wrong with a link: what was expected and found."""
        target = os.readlink(path)  # noqa: PTH115 - all of this is about texts: Path would tidy them up first
        inside = "a link that stays inside the artifact root"
        if target.startswith("/"):
            return inside, f"a link to the absolute path {target}"
        lexical = posixpath.normpath(posixpath.join(posixpath.dirname(relative), target))
        real = os.path.realpath(path)
        if lexical.split("/")[0] == ".." or not _is_inside(self.top, real):
            return inside, f"a link to {target}"
        if not Path(real).exists():
            return "a link to something", f"a link to {target}, which is not there"
        return None

    def problem(self, relative: str, expected: str, found: str) -> None:
        """Note what is wrong with one name."""
        place = Place(str(self.root / relative))
        self.found.problems.append(Problem(place, "", expected, found, kind=Kind.PATH))


def _is_inside(top: str, real: str) -> bool:
    return real == top or real.startswith(top.rstrip("/") + "/")


def walk_files(root: Path) -> list[tuple[str, Path]]:
    """Every file below `root` by its path relative to it, sorted bytewise.

    Raises:
        PathError: a link leaves the root or leads nowhere, or something is neither file nor directory.
        OSError: a directory can't be read.
    """
    tree = scan(root)
    if tree.problems:
        raise PathError(tree.problems)
    return tree.files


def resolve_inside(root: Path, relative: str) -> Path:
    """The path of something below `root`.

    Raises:
        PathError: a link on the way leads out of the root.
    """
    path = root / relative
    if not _is_inside(os.path.realpath(root), os.path.realpath(path)):
        raise _rejected(path, "a path inside the artifact root", "a link that leads out of it")
    return path


def digest_file(path: Path) -> Sha256:
    """The digest of a file's bytes; a large one is read in pieces, so that its size doesn't matter.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size > _AT_ONCE:
            return Sha256(hashlib.file_digest(file, "sha256").hexdigest())
        return Sha256(hashlib.sha256(file.readall()).hexdigest())


def digest_tree(root: Path) -> Sha256:
    """The directory digest of everything below `root` (§6).

    Raises:
        PathError: as `walk_files`; also for an empty directory, which has no digest.
        OSError: a file can't be read.
    """
    try:
        return directory_digest((name, digest_file(path)) for name, path in walk_files(root))
    except FieldError as error:
        raise PathError([error.at(Place(str(root)), "")]) from error
