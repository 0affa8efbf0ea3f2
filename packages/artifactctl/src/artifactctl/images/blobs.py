"""The blobs of an OCI image layout: content-addressed files, new ones beside them until they are published.

A blob appears under its name only after its content has reached the disk. What is there with the right size
counts as right, a small one that is made anyway only with the right bytes; anything else is made again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import count
from pathlib import Path
from threading import Lock

from artifact_contract.atomic import sync_directory

from artifactctl.registry.descriptors import Descriptor, describe

STAGING = ".staging"

_SYNC_THREADS = 8


class BlobStore:
    """The directory `blobs/sha256` of one layout; one process writes to it, several threads may."""

    def __init__(self, layout: Path, *, trust: bool = True) -> None:
        self._blobs = layout / "blobs" / "sha256"
        self._staging = layout / STAGING
        self._trust = trust
        self._staged: dict[str, Path] = {}
        self._guard = Lock()
        self._numbers = count()

    def has(self, blob: Descriptor) -> bool:
        """Whether the blob is there with its size."""
        try:
            return self._path(blob).stat().st_size == blob.size
        except (FileNotFoundError, NotADirectoryError):
            return False

    def read(self, blob: Descriptor) -> bytes | None:
        """The bytes of a small blob, nothing when they aren't those of its digest."""
        try:
            data = self._path(blob).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return data if describe(blob.media_type, data) == blob else None

    def put(self, media_type: str, data: bytes) -> Descriptor:
        """Stage a small blob, unless it is there."""
        blob = describe(media_type, data)
        # the bytes are at hand: comparing them mends what has only the right size
        if not self._is_known(blob, lambda: self.read(blob) is not None):
            temporary = self._temporary()
            temporary.write_bytes(data)
            self._stage(blob, temporary)
        return blob

    def put_stream(self, media_type: str, chunks: Iterable[bytes]) -> Descriptor:
        """Stage a blob of any size without holding it in memory."""
        temporary = self._temporary()
        digest, size = sha256(), 0
        try:
            with temporary.open("xb", buffering=0) as file:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    _write_all(file.fileno(), chunk)
        except BaseException:
            # a full disk has better use for it
            temporary.unlink(missing_ok=True)
            raise
        blob = Descriptor(media_type, f"sha256:{digest.hexdigest()}", size)
        if self._is_known(blob, lambda: self.has(blob)):
            temporary.unlink()
        else:
            self._stage(blob, temporary)
        return blob

    def publish(self, digests: Iterable[str]) -> None:
        """Give these staged blobs their names; afterwards they survive a power failure."""
        staged = [(digest, self._staged[digest]) for digest in digests if digest in self._staged]
        if not staged:
            return
        self._blobs.mkdir(parents=True, exist_ok=True)
        # all are written by now: the first of them takes most of the others along
        with ThreadPoolExecutor(_SYNC_THREADS) as pool:
            list(pool.map(_sync, (path for _, path in staged)))
        for digest, path in staged:
            path.replace(self._blobs / digest.removeprefix("sha256:"))
            del self._staged[digest]
        for directory in (self._blobs, self._blobs.parent, self._blobs.parent.parent):
            sync_directory(directory)

    def clear_staging(self) -> None:
        """Remove what wasn't published, also what a killed run has left."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def _is_known(self, blob: Descriptor, is_stored: Callable[[], bool]) -> bool:
        with self._guard:
            if blob.digest in self._staged:
                return True
        return self._trust and is_stored()

    def _stage(self, blob: Descriptor, temporary: Path) -> None:
        with self._guard:
            kept = self._staged.setdefault(blob.digest, temporary)
        if kept is not temporary:
            temporary.unlink()

    def _temporary(self) -> Path:
        self._staging.mkdir(exist_ok=True)
        return self._staging / f"{os.getpid()}-{next(self._numbers)}"

    def _path(self, blob: Descriptor) -> Path:
        return self._blobs / blob.digest.removeprefix("sha256:")


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
