"""What a worker prints, through two FIFOs in the worker's directory.

    function ─▶ shim ─▶ FIFO ─▶ lines with the time they came ─▶ Output

They are opened for reading before the shim opens them. It keeps both ends open: a function that prints while
nobody reads is slowed down once 64 KiB wait, and an agent that comes back reads on.
"""

import asyncio
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from esb_agent.drivers.emulator_output import Output

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


class Fifos:
    """Both of one worker; made and removed with its directory."""

    def __init__(self, directory: Path, output: Output) -> None:
        self._paths = {stream: directory / stream for stream in STREAMS}
        self._output = output
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
        """Begin to read. Raises OSError."""
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
