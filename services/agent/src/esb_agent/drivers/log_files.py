"""What functions print: kept in one file a function, bounded in size."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

# A write to a file costs more than a call's lines do. Whoever follows a log sees them this much later.
GATHER_SECONDS = 0.05
GATHER_BYTES = 64 * 1024

Ship = Callable[[str, bytes], None]
Later = Callable[[float, Callable[[], None]], asyncio.TimerHandle]


class LogFile:
    """Appends lines; over `max_bytes` the file becomes `.1`, that `.2`, and so on up to `backups`.

    With `later` (seconds, then what to do), what follows a write within `GATHER_SECONDS` is gathered and
    written together; an agent that is killed loses that much. `ship` gets the same lines.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int,
        backups: int,
        ship: Callable[[bytes], None] | None = None,
        later: Later | None = None,
    ) -> None:
        self._ship = ship
        self._later = later
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._file: BinaryIO | None = None
        self._size = 0
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        # While it runs, lines are gathered; it stops when there were none.
        self._timer: asyncio.TimerHandle | None = None

    def write(self, data: bytes) -> None:
        """Append whole lines. A full disk loses them: a function's output is not worth the function."""
        self._gathered.append(data)
        self._gathered_bytes += len(data)
        if not self._timer or self._gathered_bytes >= GATHER_BYTES:
            self.flush()
            if self._later and not self._timer:
                self._timer = self._later(GATHER_SECONDS, self._on_timer)

    def flush(self) -> None:
        """Write what is gathered."""
        gathered, self._gathered = self._gathered, []
        self._gathered_bytes = 0
        if not gathered:
            return
        if self._ship:
            self._ship(b"".join(gathered))
        for data in self._fitting(gathered):
            with suppress(OSError):
                self._size += self._open().write(data)

    def _on_timer(self) -> None:
        self._timer = self._later(GATHER_SECONDS, self._on_timer) if self._later and self._gathered else None
        self.flush()

    def _open(self) -> BinaryIO:
        if not self._file:
            self._file = self._path.open("ab", buffering=0)
            self._size = self._path.stat().st_size
        return self._file

    def _fitting(self, gathered: list[bytes]) -> Iterator[bytes]:
        """As much as fits into the file at a time; it is turned over in between."""
        with suppress(OSError):
            self._open()
        fitting: list[bytes] = []
        size = self._size
        for data in gathered:
            if size and size + len(data) > self._max_bytes:
                yield b"".join(fitting)
                self._rotate()
                fitting, size = [], 0
            fitting.append(data)
            size += len(data)
        yield b"".join(fitting)

    def _rotate(self) -> None:
        self._close_file()
        self._size = 0
        backups = [self._path.with_name(f"{self._path.name}.{n + 1}") for n in range(self._backups)]
        names = [self._path, *backups]
        with suppress(OSError):
            names[-1].unlink(missing_ok=True)
            for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
                if newer.exists():
                    newer.replace(older)

    def close(self) -> None:
        """Write what is gathered and close the file; a later write opens it again."""
        self.flush()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        self._close_file()

    def _close_file(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def on_the_loop(seconds: float, work: Callable[[], None]) -> asyncio.TimerHandle:
    """`Later` of the running event loop."""
    return asyncio.get_running_loop().call_later(seconds, work)


class LogFiles:
    """One file a function, shared by its workers; `ship` gets every function's name and lines."""

    def __init__(
        self,
        directory: Path,
        max_bytes: int,
        backups: int,
        ship: Ship | None = None,
        later: Later | None = None,
    ) -> None:
        self._ship = ship
        self._later = later
        self._directory = directory
        self._max_bytes = max_bytes
        self._backups = backups
        self._files: dict[str, LogFile] = {}

    def of(self, function: str) -> LogFile:
        """The function's file."""
        if function not in self._files:
            path = self._directory / f"{function}.log"
            ship = partial(self._ship, function) if self._ship else None
            self._files[function] = LogFile(path, self._max_bytes, self._backups, ship, self._later)
        return self._files[function]

    def release(self, function: str) -> None:
        """The function has no worker any more."""
        file = self._files.pop(function, None)
        if file:
            file.close()

    def close(self) -> None:
        """Write what is gathered, and close all."""
        for function in list(self._files):
            self.release(function)
