"""Putting directories in place: one writer at a time, and each directory changes in one step."""

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from esb_cli.errors import WorldError

__all__ = ["TEMPORARY", "locked", "put", "take_back", "workspace"]

TEMPORARY = ".esb-tmp-"  # how the names of all that runs leave behind when they are killed begin
WORKSPACE = f"{TEMPORARY}new-"
LOCK_SECONDS = 30.0
AT_FDCWD = -100
RENAME_EXCHANGE = 2
NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)


@contextlib.contextmanager
def locked(directory: Path, patience: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold a directory's lock. The kernel drops it with this process, and it leaves no file behind.

    Args:
        directory: The directory.
        patience: How long to wait for another process, in seconds.

    Raises:
        WorldError: Another process has held it for too long.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + patience
        while not _try_lock(handle):
            if time.monotonic() > deadline:
                raise WorldError(f"{directory}: another esb has been publishing here for {patience:.0f} s")
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def workspace(directory: Path) -> Iterator[Path]:
    """Yield a directory in `directory`, which is locked, for what is not complete yet.

    What killed runs left there is removed as well: no one else can be using it.
    """
    for leftover in directory.glob(f"{WORKSPACE}*"):
        shutil.rmtree(leftover)
    place = Path(tempfile.mkdtemp(prefix=WORKSPACE, dir=directory))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def put(files: Path, root: Path) -> None:
    """Put the directory `files` in the place of `root`; what was there, if anything, is in `files` then."""
    if root.exists():
        _exchange(files, root)
    else:
        files.rename(root)


def take_back(files: Path, root: Path) -> None:
    """Undo `put`."""
    if files.exists():
        _exchange(files, root)
    else:
        root.rename(files)


def _exchange(one: Path, other: Path) -> None:
    """Let two directories change places, in one step where the file system can."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        names = os.fsencode(one), os.fsencode(other)
        if libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
            return
        code = ctypes.get_errno()
        if code not in NO_EXCHANGE:
            raise OSError(code, os.strerror(code), str(other))
    aside = one.with_name(f"{one.name}.aside")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)
