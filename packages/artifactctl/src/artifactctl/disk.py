"""Every change this package makes to a file system is one call of a `Disk` (contract §11).

One small port, so that a test can stop a transaction before, in and after each single step of it, and so that
a failing disk is told apart from everything else at one place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from artifactctl.errors import DiskError

# Generations are immutable; an editor that opens one of their files says so before it writes.
_READ_ONLY = 0o444


class Disk(Protocol):
    """The steps a transaction is made of; each raises `DiskError` when the file system refuses."""

    def make_directory(self, path: Path) -> None:
        """Create a directory; its parent exists, itself it doesn't."""

    def write_file(self, path: Path, data: bytes) -> None:
        """Create a read-only file with this content; it does not exist yet."""

    def sync(self, path: Path) -> None:
        """Return when the content of this file, or the names in this directory, would survive a power cut."""

    def rename(self, source: Path, target: Path) -> None:
        """Give a file, link or directory a new name, replacing a file or link that has it."""

    def make_link(self, path: Path, target: str) -> None:
        """Create a symbolic link with this text."""

    def remove_file(self, path: Path) -> None:
        """Remove a file or a link."""

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""


class LocalDisk:
    """The file system of this machine."""

    def make_directory(self, path: Path) -> None:
        """Create a directory with the permissions the umask leaves."""
        with _named(path, "create the directory"):
            path.mkdir()

    def write_file(self, path: Path, data: bytes) -> None:
        """Create a file, all of it or an error; a full disk shows here at the latest when it is synced."""
        with _named(path, "write"):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _READ_ONLY)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)

    def sync(self, path: Path) -> None:
        """Flush a file's content or a directory's names to the device."""
        with _named(path, "flush to the disk"):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Rename; nobody sees a moment without `target`."""
        with _named(target, "put in place"):
            source.replace(target)

    def make_link(self, path: Path, target: str) -> None:
        """Create a symbolic link; `target` need not exist."""
        with _named(path, "create the link"):
            path.symlink_to(target)

    def remove_file(self, path: Path) -> None:
        """Remove a file or a link; one that is gone already is an error."""
        with _named(path, "remove"):
            path.unlink()

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        with _named(path, "remove the directory"):
            path.rmdir()


@contextmanager
def _named(path: Path, action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(path, action, error) from error
