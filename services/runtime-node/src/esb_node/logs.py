"""Log files of the box: bounded when a service starts, read from the end, followed while they grow."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from attrs import define, field, frozen

LIMIT_BYTES = 8 * 1024 * 1024
KEEP = 3
_BLOCK = 64 * 1024


def open_log(path: Path, limit: int = LIMIT_BYTES, keep: int = KEEP) -> BinaryIO:
    """Open a log for appending; one that outgrew `limit` is moved aside first, `keep` older ones stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > limit:
        for number in range(keep - 1, 0, -1):
            older = _numbered(path, number)
            if older.exists():
                older.replace(_numbered(path, number + 1))
        path.replace(_numbered(path, 1))
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)  # noqa: PTH123 - a descriptor has no Path


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines of a log; none when there is no log."""
    if count <= 0:
        return []
    try:
        with path.open("rb") as file:
            return [_text(line) for line in deque(_tail(file, count), maxlen=count)]
    except FileNotFoundError:
        return []


@frozen
class Line:
    """One line of one service's log."""

    service: str
    text: str


def follow(logs: Sequence[tuple[str, Path]], wait: Callable[[], bool], lines: int) -> Iterator[Line]:
    """The last `lines` lines of each log, then what is appended, until `wait` says that was all."""
    readers = [_Reader(name, path) for name, path in logs]
    try:
        for reader in readers:
            yield from (Line(reader.name, text) for text in reader.start(lines))
        more = True
        while more:
            more = wait()
            for reader in readers:
                yield from (Line(reader.name, text) for text in reader.appended())
    finally:
        for reader in readers:
            reader.close()


@define
class _Reader:
    """Where one log was read to; a log that was moved aside is read to its end, then its successor."""

    name: str
    path: Path
    _file: BinaryIO | None = None
    _rest: bytes = field(default=b"")

    def start(self, lines: int) -> list[str]:
        found = last_lines(self.path, lines)
        self._open()
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)
        return found

    def appended(self) -> list[str]:
        texts = self._read()
        if self._moved():
            self._open()
            texts += self._read()
        return texts

    def _read(self) -> list[str]:
        if self._file is None:
            return []
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        return [_text(line) for line in whole]

    def _moved(self) -> bool:
        try:
            now = self.path.stat()
        except FileNotFoundError:
            return False
        return self._file is None or os.fstat(self._file.fileno()).st_ino != now.st_ino

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        self.close()
        try:
            self._file = self.path.open("rb")
        except FileNotFoundError:
            self._file = None


def _tail(file: BinaryIO, count: int) -> list[bytes]:
    """At least the last `count` lines, read backwards in blocks."""
    position, data = file.seek(0, os.SEEK_END), b""
    while position > 0 and data.count(b"\n") <= count:
        step = min(_BLOCK, position)
        position -= step
        file.seek(position)
        data = file.read(step) + data
    return data.splitlines()


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")
