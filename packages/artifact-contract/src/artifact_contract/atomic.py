"""A file is written whole or not at all (contract §3)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_MODE = 0o644
_PREFIX, _SUFFIX = ".write-", ".tmp"


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by a file with these bytes; whenever it stops, one of the two is there, complete.

    The new file has the old one's permissions, 0644 if there was none. A link at `path` is replaced.

    Raises:
        OSError: it can't be written; nothing has changed, no temporary file is left.
    """
    handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=_SUFFIX, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), _mode_of(path))
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def remove_stale(directory: Path) -> None:
    """Remove what killed calls of `write_atomic` left; only whoever is the one writer there may do it.

    Raises:
        OSError: the directory can't be read or written.
    """
    for path in directory.glob(f"{_PREFIX}*{_SUFFIX}"):
        path.unlink(missing_ok=True)


def _mode_of(path: Path) -> int:
    try:
        return path.lstat().st_mode & 0o777 if not path.is_symlink() else _MODE
    except FileNotFoundError:
        return _MODE


def sync_directory(path: Path) -> None:
    """Make the names in a directory survive a power failure.

    Raises:
        OSError: the directory can't be opened or written.
    """
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
