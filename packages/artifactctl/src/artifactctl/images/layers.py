"""A layer as a tar archive with the same bytes on every machine (contract §13).

Sorted by name, owner 0:0, no user names, time 0; POSIX ustar, with a pax header only where a name, a link or
a size doesn't fit. The headers are written here, not by `tarfile`: its bytes have changed between versions of
Python, and digests depend on them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from errno import ESTALE
from functools import cached_property
from hashlib import sha256

from artifact_contract.errors import FieldError
from attrs import field, frozen

from artifactctl.images.tree import Content, FileEntry, FileKind

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar"

_BLOCK = 512
_CHUNK = 1 << 20
_NAME_BYTES = 100
_PREFIX_BYTES = 155
_LARGEST = 0o77777777777
_ZERO = b"0000000\0"
_USTAR = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x")
_END = bytes(2 * _BLOCK)
_PAX_NAME = b"PaxHeaders/entry"


def _in_order(entries: Iterable[FileEntry]) -> tuple[FileEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.path.encode()))


@frozen(eq=False, slots=False)
class Layer:
    """What one instruction adds to an image; the same as another when the `key` is."""

    entries: tuple[FileEntry, ...] = field(converter=_in_order)
    created_by: str = ""

    @cached_property
    def key(self) -> str:
        """SHA-256 over everything that decides the bytes of the archive."""
        digest = sha256()
        for entry in self.entries:
            content = entry.content.sha256 if entry.content else ""
            facts = (entry.path, entry.kind.value, f"{entry.mode:o}", content, entry.target)
            digest.update(b"".join(b"%d:%s," % (len(text), text) for text in map(str.encode, facts)))
        return digest.hexdigest()

    @property
    def content_size(self) -> int:
        """The bytes of all files together."""
        return sum(entry.content.size for entry in self.entries if entry.content)


class ContentChangedError(OSError):
    """A file isn't any more what it was when it was hashed."""


def tar_chunks(entries: Iterable[FileEntry], start: int = 0) -> Iterator[bytes]:
    """The archive from the byte `start` on, piece by piece, in the order of the entries.

    Raises:
        OSError: a file can't be read, or was changed since it was hashed.
    """
    for entry in entries:
        size = entry.content.size if entry.content else 0
        header = _headers(entry, size)
        length = len(header) + size + -size % _BLOCK
        if start >= length:
            start -= length
            continue
        yield header[start:]
        start = max(0, start - len(header))
        if entry.content:
            yield from _read(entry.content, start)
            yield bytes(-size % _BLOCK)[max(0, start - size) :]
        start = 0
    yield _END[start:]


def _read(content: Content, start: int = 0) -> Iterator[bytes]:
    with open(content.path, "rb") as file:  # noqa: PTH123 - a Path a file costs more than reading it
        facts = os.fstat(file.fileno())
        if (facts.st_size, facts.st_mtime_ns) != (content.size, content.mtime_ns):
            raise ContentChangedError(ESTALE, "it was changed meanwhile", content.path)
        left = max(0, content.size - start)
        if start:
            file.seek(content.size - left)
        while left:
            chunk = file.read(min(left, _CHUNK))
            if not chunk:
                raise ContentChangedError(ESTALE, "it was shortened meanwhile", content.path)
            left -= len(chunk)
            yield chunk


def _headers(entry: FileEntry, size: int) -> bytes:
    name = entry.path.encode() + (b"/" if entry.kind is FileKind.DIRECTORY else b"")
    target = entry.target.encode()
    extended: dict[bytes, bytes] = {}
    split = _split(name)
    if split is None:
        extended[b"path"] = name
    if len(target) > _NAME_BYTES or not target.isascii():
        extended[b"linkpath"] = target
    if size > _LARGEST:
        extended[b"size"] = b"%d" % size
    header = _ustar(
        split or (b"", _shortened(name)),
        mode=entry.mode,
        size=0 if size > _LARGEST else size,
        kind=entry.kind.value.encode(),
        target=_shortened(target),
    )
    return _pax(extended) + header if extended else header


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Prefix and name as ustar holds them, or nothing when they don't fit."""
    if not name.isascii():
        return None
    if len(name) <= _NAME_BYTES:
        return b"", name
    at = name.rfind(b"/", 0, _PREFIX_BYTES + 1)
    # a directory's own slash at the end is no place to cut
    rest = name[at + 1 :]
    return (name[:at], rest) if at > 0 and 0 < len(rest) <= _NAME_BYTES else None


def _shortened(name: bytes) -> bytes:
    """What a reader without pax sees: never taken by one that has it."""
    return name.decode().encode("ascii", "replace")[:_NAME_BYTES]


def _ustar(split: tuple[bytes, bytes], *, mode: int, size: int, kind: bytes, target: bytes = b"") -> bytes:
    prefix, name = split
    numbers = (b"%07o\0" % mode, _ZERO, _ZERO, b"%011o\0" % size, b"%011o\0" % 0)
    rest = (kind, target, b"ustar\0", b"00", b"", b"", _ZERO, _ZERO, prefix)
    checksum = sum(_USTAR.pack(name, *numbers, b" " * 8, *rest))
    return _USTAR.pack(name, *numbers, b"%06o\0 " % checksum, *rest)


def _pax(values: dict[bytes, bytes]) -> bytes:
    records = b"".join(_record(key, values[key]) for key in sorted(values))
    header = _ustar((b"", _PAX_NAME), mode=0o644, size=len(records), kind=b"x")
    return header + records + bytes(-len(records) % _BLOCK)


def _record(key: bytes, value: bytes) -> bytes:
    """`<length> key=value`, the length counting itself."""
    length = rest = len(key) + len(value) + 3
    while length != rest + len(str(length)):
        length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def check_target(entry: FileEntry) -> None:
    """Refuse a link that would climb above the root of the image.

    Raises:
        FieldError: it does.
    """
    depth = entry.path.count("/")
    for segment in entry.target.split("/"):
        depth += (segment not in ("", ".", "..")) - (segment == "..")
        if depth < 0:
            raise FieldError(
                "links that stay inside the image", f"{entry.path!r}, which leads to {entry.target!r}"
            )
