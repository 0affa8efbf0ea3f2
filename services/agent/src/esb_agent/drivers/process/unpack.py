"""A layer's tar into a directory, without leaving it.

The only writer below that directory is this module, and it keeps one thing true: every link in it is
relative and leads to a place in it. So a path without links among its parents stays inside; and that is
checked for each entry.
"""

import gzip
import hashlib
import shutil
import stat
import tarfile
import zlib
from io import BufferedReader, RawIOBase
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from esb_agent.drivers.process.layout import Descriptor, check_blob
from esb_agent.errors import ImageBrokenError

COPY_BYTES = 1024 * 1024
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


class HashingReader(RawIOBase):
    """Reads a blob once, and knows its digest afterwards."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: object) -> int:
        """Pass data on, and count and hash it."""
        view = memoryview(cast(bytearray, buffer))
        count = cast(BufferedReader, self._file).readinto(view)
        self._hash.update(view[:count])
        self.size += count
        return count

    def finish(self) -> str:
        """Read the rest. Returns the digest of all, hexadecimal."""
        while self.read(COPY_BYTES):
            pass
        return self._hash.hexdigest()


def unpack_layer(layer: Descriptor, root: Path) -> None:
    """Apply one layer on top of what is in `root`. On any error `root` is for the bin.

    Raises:
        ImageBrokenError: the blob is missing or not its digest's, not a tar this can read, or holds what
        would leave `root`. OSError: the disk refused.
    """
    try:
        file = layer.path.open("rb")
    except OSError as error:
        raise ImageBrokenError(f"blob {layer.digest}: cannot be read: {error.strerror}") from error
    with file:
        reader = HashingReader(file)
        try:
            _unpack_stream(_decompress(BufferedReader(reader, COPY_BYTES), layer), root)
        except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, ValueError, OverflowError) as error:
            # Broken data most often means that the blob is not what its digest says: then say that.
            check_blob(layer, reader.finish(), reader.size)
            raise ImageBrokenError(f"blob {layer.digest}: not a layer: {error}") from error
        check_blob(layer, reader.finish(), reader.size)


def _decompress(stream: BufferedReader, layer: Descriptor) -> IO[bytes]:
    head = stream.peek(4)[:4]
    if head[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    if head == b"\x28\xb5\x2f\xfd":
        raise ImageBrokenError(
            f"blob {layer.digest}: a zstd layer ({layer.media_type}); expected tar or gzip"
        )
    return stream


def _unpack_stream(stream: IO[bytes], root: Path) -> None:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            _unpack_member(archive, member, root)


def _unpack_member(archive: tarfile.TarFile, member: tarfile.TarInfo, root: Path) -> None:
    parts = _inside(member.name, member.name)
    if not parts:
        return
    parent = _real_directory(root, parts[:-1])
    if parts[-1].startswith(WHITEOUT):
        _white_out(parent, parts[-1])
        return
    path = parent / parts[-1]
    if member.isdir():
        if path.is_symlink() or not path.is_dir():
            _remove(path)
            path.mkdir()
        return
    _remove(path)
    if member.isreg():
        _write_file(archive, member, path)
    elif member.issym():
        path.symlink_to(_relative_link(parts, member))
    elif member.islnk():
        _link(root, member, path)
    else:
        raise ImageBrokenError(f"{member.name}: only files, directories and links can be unpacked")


def _inside(name: str, member: str) -> tuple[str, ...]:
    """The segments of a path inside the image, `.` and `..` resolved by name.

    Leading `/` is the image's root.
    """
    parts: list[str] = []
    for part in PurePosixPath(name).parts:
        if part == "..":
            if not parts:
                raise ImageBrokenError(f"{member}: leaves the image")
            parts.pop()
        elif part.strip("/"):
            parts.append(part)
    return tuple(parts)


def _real_directory(root: Path, parts: tuple[str, ...]) -> Path:
    """The directory, made if need be; a link or a file where a directory must be is an error."""
    path = root
    for part in parts:
        path = path / part
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            path.mkdir()
        else:
            if not stat.S_ISDIR(mode):
                raise ImageBrokenError(
                    f"{'/'.join(parts)}: goes through {part}, which is no directory of the image"
                )
    return path


def _relative_link(parts: tuple[str, ...], member: tarfile.TarInfo) -> str:
    """Where the link leads, from the link. An absolute target means the image's root, not the host's."""
    target = member.linkname
    if not target.startswith("/"):
        target = "/".join([*parts[:-1], target])
    resolved = _inside(target, f"{member.name} -> {member.linkname}")
    return "/".join([".."] * (len(parts) - 1) + list(resolved)) or "."


def _link(root: Path, member: tarfile.TarInfo, path: Path) -> None:
    parts = _inside(member.linkname, f"{member.name} => {member.linkname}")
    target = _real_directory(root, parts[:-1]) / (parts[-1] if parts else "")
    if not target.is_file() or target.is_symlink():
        raise ImageBrokenError(f"{member.name} => {member.linkname}: no such file in the image")
    path.hardlink_to(target)


def _write_file(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = archive.extractfile(member)
    if source is None:
        raise ImageBrokenError(f"{member.name}: has no content")
    with path.open("xb") as target:
        shutil.copyfileobj(source, target, COPY_BYTES)
    # No set-user-id bits, and the owner can always read what it runs.
    path.chmod((member.mode & 0o755) | 0o400)


def _white_out(parent: Path, name: str) -> None:
    """A lower layer's entry (or, opaque, all of them in this directory) is hidden."""
    if name == OPAQUE:
        for entry in list(parent.iterdir()):
            _remove(entry)
        return
    hidden = name.removeprefix(WHITEOUT)
    if hidden in ("", ".", ".."):
        raise ImageBrokenError(f"{name}: hides no entry of its directory")
    _remove(parent / hidden)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
