"""What a worker prints, through two FIFOs in the worker's directory.

    function ─▶ shim ─▶ FIFO ─▶ lines with the time they came ─▶ Output

What was read is gone from them, so how far the worker's calls have come is noted beside them: the next agent
has to know of a call that began before it.

They are opened for reading before the shim opens them. It keeps both ends open: a function that prints while
nobody reads is slowed down once 64 KiB wait, and an agent that comes back reads on.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from attrs import asdict

from esb_agent.drivers.emulator_output import Calls, CallsNote, Output

STREAMS = ("stdout", "stderr")
READ_BYTES = 64 * 1024
# What comes meanwhile is read in one go: a call's output must not hold up the next call.
GATHER_SECONDS = 0.02


def stamp(nanoseconds: int) -> bytes:
    """A moment, since 1970, as engines write it."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z".encode()


def pieces(stream: str, moment: bytes, data: bytes) -> Iterable[tuple[str, bytes]]:
    """The lines of `data` as Output takes them."""
    return ((stream, moment + b" " + line) for line in data.splitlines(keepends=True))


class Notebook:
    """A file with a worker's CallsNote in its first line; written in place, as it changes with each call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._last = CallsNote()

    def open(self) -> CallsNote:
        """Begin to keep it. Returns what it says so far. Raises OSError."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        line = os.pread(self._file, READ_BYTES, 0).partition(b"\n")[0]
        try:
            self._last = CallsNote(**json.loads(line or b"{}"))
        except (ValueError, TypeError):
            self._last = CallsNote()
        return self._last

    def keep(self, note: CallsNote) -> None:
        """Write it down, if it is another one; on a full disk the next one may be."""
        if self._file >= 0 and note != self._last:
            # As log lines: a function must not hang because nobody reads on.
            with suppress(OSError):
                os.pwrite(self._file, json.dumps(asdict(note)).encode() + b"\n", 0)
                self._last = note

    def close(self) -> None:
        """Leave it to the next."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Fifos:
    """Both of one worker; made and removed with its directory."""

    def __init__(self, directory: Path, output: Output, calls: Calls) -> None:
        self._paths = {stream: directory / stream for stream in STREAMS}
        self._output = output
        self._calls = calls
        self._notebook = Notebook(directory / "calls")
        self._files: dict[str, int] = {}
        # All that was said is read: the shim has closed its ends.
        self.drained = asyncio.Event()

    @property
    def reading(self) -> bool:
        """They are open."""
        return bool(self._files)

    @property
    def stdout(self) -> str:
        """For containerd."""
        return str(self._paths["stdout"])

    @property
    def stderr(self) -> str:
        """For containerd."""
        return str(self._paths["stderr"])

    def make(self) -> None:
        """Make them where there are none. Raises OSError."""
        for path in self._paths.values():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                os.mkfifo(path, 0o600)

    def open(self) -> None:
        """Begin to read, where an earlier agent stopped. Raises OSError."""
        self._calls.take_up(self._notebook.open())
        for stream, path in self._paths.items():
            self._files[stream] = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._listen(stream)

    def _listen(self, stream: str) -> None:
        if stream in self._files:
            asyncio.get_running_loop().add_reader(self._files[stream], self._readable, stream)

    def _readable(self, stream: str) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._files[stream])
        if self._read(stream):
            loop.call_later(GATHER_SECONDS, self._listen, stream)
        else:
            self._close(stream)
            if not self._files:
                self.drained.set()

    def _read(self, stream: str) -> bool:
        """Take what is there; False at its end."""
        try:
            data = os.read(self._files[stream], READ_BYTES)
        except BlockingIOError:
            return True
        self._output.feed(pieces(stream, stamp(time.time_ns()), data))
        self._notebook.keep(self._calls.note)
        return bool(data)

    def _close(self, stream: str) -> None:
        file = self._files.pop(stream)
        asyncio.get_running_loop().remove_reader(file)
        os.close(file)

    def close(self) -> None:
        """Take what is there and stop reading."""
        for stream in list(self._files):
            self._read(stream)
            self._close(stream)
        self._notebook.close()
