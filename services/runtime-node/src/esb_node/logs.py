"""Log files of the box: bounded when a service starts, read from the end, followed while they grow."""

from __future__ import annotations

import itertools
import os
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
    """The last `count` lines of a log, of older files too when it was begun anew; none when there is none."""
    lines: list[bytes] = []
    for number in itertools.count():
        missing = count - len(lines)
        if missing <= 0:
            break
        try:
            with (_numbered(path, number) if number else path).open("rb") as file:
                lines = _tail(file, missing)[-missing:] + lines
        except FileNotFoundError:
            break
    return [_text(line) for line in lines]


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
    """Where one log was read to; one that was moved aside is read to its end, then all that came after it."""

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
            for successor in self._successors():
                self.close()
                self._file = successor
                texts += self._read()
        return texts

    def _successors(self) -> list[BinaryIO]:
        """What was begun since this file was moved aside, oldest first: it may have happened many times.

        Opened from the newest on, so that a file moved meanwhile is found twice and never missed.
        """
        seen = os.fstat(self._file.fileno()).st_ino if self._file else None
        found: list[BinaryIO] = []
        inodes: set[int] = set()
        for number in itertools.count():
            try:
                file = (_numbered(self.path, number) if number else self.path).open("rb")
            except FileNotFoundError:
                break
            inode = os.fstat(file.fileno()).st_ino
            if inode in inodes or inode == seen:
                file.close()
            else:
                inodes.add(inode)
                found.append(file)
            if inode == seen or seen is None:
                break
        return found[::-1]

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
