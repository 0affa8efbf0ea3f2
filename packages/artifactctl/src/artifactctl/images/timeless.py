"""A tar archive without the times in it: what an engine leaves in the layers it makes (contract §13).

Headers are patched where they stand, all else passes through: the archive keeps its size and its order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_BLOCK = 512
_MTIME = slice(136, 148)
_CHECKSUM = slice(148, 156)
_SIZE = slice(124, 136)
_KIND = slice(156, 157)
_EXTENDED = (b"x", b"g")
_NO_TIME = b"00000000000\0"
_TIMES = re.compile(rb"((?:^|\n)\d+ (?:mtime|atime|ctime)=)([^\n]*)")
# what only a header of another format could say; such a header has no times beside the one above
_MOST_EXTENDED = 1 << 20


def timeless(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The archive with all times 0.

    Raises:
        ValueError: it isn't a tar archive, or ends early.
    """
    source = _Source(chunks)
    while True:
        header = source.take(_BLOCK)
        if not header.strip(b"\0"):
            yield header
            yield from source.rest()
            return
        size = _number(header[_SIZE])
        padded = size + -size % _BLOCK
        yield _without_time(header)
        if header[_KIND] in _EXTENDED and size <= _MOST_EXTENDED:
            yield _TIMES.sub(lambda found: found[1] + re.sub(rb"\d", b"0", found[2]), source.take(padded))
        else:
            yield from source.pieces(padded)


def _without_time(header: bytes) -> bytes:
    patched = bytearray(header)
    patched[_MTIME] = _NO_TIME
    patched[_CHECKSUM] = b" " * 8
    patched[_CHECKSUM] = b"%06o\0 " % sum(patched)
    return bytes(patched)


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.strip(b" \0")
    if not re.fullmatch(rb"[0-7]*", text):
        raise ValueError("a tar archive expected")
    return int(text or b"0", 8)


class _Source:
    """Bytes that come in pieces of any size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def pieces(self, count: int) -> Iterator[bytes]:
        """The next so many bytes."""
        while count:
            if not self._left:
                self._left = memoryview(self._next())
            piece = self._left[:count]
            self._left = self._left[len(piece) :]
            count -= len(piece)
            yield bytes(piece)

    def take(self, count: int) -> bytes:
        """The same in one piece."""
        return b"".join(self.pieces(count))

    def rest(self) -> Iterator[bytes]:
        """All that is left."""
        yield bytes(self._left)
        yield from self._chunks

    def _next(self) -> bytes:
        for chunk in self._chunks:
            if chunk:
                return chunk
        raise ValueError("a tar archive expected, half of one found")
