"""The build context: the files below one directory that COPY may take, less what a `.dockerignore` excludes.

Nothing outside the directory is ever read, also not through symbolic links (contract §2, §5).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from hashlib import file_digest, sha256
from pathlib import Path

from artifact_contract.errors import FieldError, Kind

from artifactctl.images.ignore import IgnoreRules
from artifactctl.images.tree import DIRECTORY_MODE, Content, FileEntry, FileKind, directory

_EXECUTABLE_MODE = 0o755
_PLAIN_MODE = 0o644
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
# file_digest has a buffer of 256 KiB, which costs more than hashing most files of code
_AT_ONCE = 256 * 1024


class Context:
    """A `Tree` over a directory of the artifact, which nobody changes meanwhile: each file is hashed once."""

    def __init__(self, root: Path, ignore: IgnoreRules) -> None:
        self.root = os.path.realpath(root)
        self._ignore = ignore
        self._entries: dict[str, FileEntry | None] = {"": directory("")}
        self._names: dict[str, list[str]] = {}

    def get(self, path: str) -> FileEntry | None:
        """The entry with this path, links not followed, `None` when it is missing or excluded.

        Raises:
            FieldError: a link leaves the context, or what is there is neither file, directory nor link.
            OSError: it can't be read.
        """
        if path not in self._entries:
            self._entries[path] = self._read(path)
        return self._entries[path]

    def children(self, path: str) -> Sequence[str]:
        """The sorted names in a directory, excluded ones among them: `get` has no entry for those."""
        if path not in self._names:
            with os.scandir(self._on_disk(path)) as found:
                self._names[path] = sorted(entry.name for entry in found)
        return self._names[path]

    def exclusions(self) -> str:
        """What to think of when a file isn't there; nothing when none is excluded."""
        return "a line of .dockerignore may exclude it" if self._ignore.rules else ""

    def _read(self, path: str) -> FileEntry | None:
        try:
            path.encode()
            facts = os.lstat(self._on_disk(path))
        except UnicodeEncodeError as error:
            raise FieldError("file names in UTF-8", ascii(path)) from error
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            raise
        if self._is_excluded(path, is_directory=stat.S_ISDIR(facts.st_mode)):
            return None
        if stat.S_ISDIR(facts.st_mode):
            return FileEntry(path, FileKind.DIRECTORY, DIRECTORY_MODE)
        if stat.S_ISLNK(facts.st_mode):
            return self._read_link(path)
        if stat.S_ISREG(facts.st_mode):
            mode = _EXECUTABLE_MODE if facts.st_mode & stat.S_IXUSR else _PLAIN_MODE
            return FileEntry(path, FileKind.FILE, mode, self._read_content(path))
        raise FieldError("files, directories and links", f"{path!r}, which is none of them", kind=Kind.PATH)

    def _is_excluded(self, path: str, *, is_directory: bool) -> bool:
        if not self._ignore.exclude(path):
            return False
        # an exception may let something below an excluded directory in; the directory comes with it
        if is_directory and self._ignore.has_exceptions:
            return all(self.get(f"{path}/{name}") is None for name in self.children(path))
        return True

    def _read_link(self, path: str) -> FileEntry:
        disk = self._on_disk(path)
        target = os.readlink(disk)  # noqa: PTH115 - the text as it is, which a Path would normalise
        expected = "links that stay inside the build context"
        if target.startswith("/"):
            raise FieldError(expected, f"{path!r}, an absolute link to {target!r}", kind=Kind.PATH)
        if not f"{os.path.realpath(disk)}/".startswith(f"{self.root}/"):
            raise FieldError(expected, f"{path!r}, which leads to {target!r}", kind=Kind.PATH)
        return FileEntry(path, FileKind.SYMLINK, 0o777, target=target)

    def _read_content(self, path: str) -> Content:
        disk = self._on_disk(path)
        with open(disk, "rb", buffering=0) as file:  # noqa: PTH123 - a Path a file costs more than reading it
            facts = os.fstat(file.fileno())
            at_once = facts.st_size <= _AT_ONCE
            digest = sha256(file.readall()) if at_once else file_digest(file, "sha256")
        return Content(digest.hexdigest(), facts.st_size, disk, facts.st_mtime_ns)

    def _on_disk(self, path: str) -> str:
        return f"{self.root}/{path}"
