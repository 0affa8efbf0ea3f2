"""A build context for an engine: the files an image may depend on, the same on every machine.

Nothing is written beside the artifact. Modes are 0644 or 0755 and times 0, so that neither the umask nor the
clock of whoever made or copied the artifact gets into a layer.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from artifactctl.images.tree import FileEntry, FileKind
from artifactctl.images.work import Build

_EPOCH = (0, 0)


@contextmanager
def staged(build: Build) -> Iterator[tuple[Path, Path]]:
    """A temporary directory with the context, and a Dockerfile outside of it.

    Raises:
        OSError: a file can't be read or written.
    """
    with TemporaryDirectory(prefix="artifactctl-build-") as name:
        context, dockerfile = Path(name) / "context", Path(name) / "Dockerfile"
        context.mkdir(mode=0o755)
        dockerfile.write_bytes(build.text)
        fill(context, build.files)
        yield context, dockerfile


def fill(context: Path, entries: Iterable[FileEntry]) -> None:
    """Write these entries, parents first, into an empty directory."""
    directories = [context]
    for entry in entries:
        path = context / entry.path
        if entry.kind is FileKind.DIRECTORY:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(entry.mode)
            directories.append(path)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.content:
            shutil.copyfile(entry.content.path, path)
            path.chmod(entry.mode)
        else:
            path.symlink_to(entry.target)
        os.utime(path, _EPOCH, follow_symlinks=False)
    for path in reversed(directories):
        os.utime(path, _EPOCH)
