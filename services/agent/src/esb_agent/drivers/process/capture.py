"""What a worker prints, read from its pipes, line by line."""

import asyncio
import os
import select
from collections.abc import Callable
from functools import partial

# Read at a time: little, so that a function that floods its output slows itself down and no other.
READ_BYTES = 16 * 1024
# A longer line is cut into pieces of this length.
MAX_LINE_BYTES = 64 * 1024
# What is read at the end of a call to have all that it printed: a pipe holds no more.
MAX_DRAIN_BYTES = 64 * 1024


class Capture:
    """Reads one worker's stdout or stderr until it closes; `write` gets its lines, without their ends."""

    def __init__(self, write: Callable[[list[bytes]], None]) -> None:
        self._write = write
        # A line that has begun, and whose end was not read yet.
        self.unfinished = b""
        self.fd = -1

    def open(self) -> int:
        """Start reading. Returns the descriptor to write to, the caller's to close."""
        self.fd, writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.fd, False)
        asyncio.get_running_loop().add_reader(self.fd, self._read)
        return writer

    def _read(self) -> int:
        try:
            data = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self.close()
            return 0
        *lines, self.unfinished = (self.unfinished + data).split(b"\n")
        while len(self.unfinished) >= MAX_LINE_BYTES:
            lines.append(self.unfinished[:MAX_LINE_BYTES])
            self.unfinished = self.unfinished[MAX_LINE_BYTES:]
        if lines:
            self._write(lines)
        return len(data)

    def drain(self) -> None:
        """Read what is there now: called when a call ends, so that its output is told from the next one's."""
        left = MAX_DRAIN_BYTES
        while self.fd >= 0 and left > 0 and (size := self._read()):
            left -= size
        self._flush()

    def close(self) -> None:
        """Stop reading; an unfinished line is written as one."""
        if self.fd >= 0:
            asyncio.get_running_loop().remove_reader(self.fd)
            os.close(self.fd)
            self.fd = -1
            self._flush()

    def _flush(self) -> None:
        if self.unfinished:
            self._write([self.unfinished])
            self.unfinished = b""


class Captures:
    """One worker's stdout and stderr; `write` gets the stream's name and its lines."""

    def __init__(self, write: Callable[[str, list[bytes]], None]) -> None:
        self._stdout, self._stderr = self._both = (
            Capture(partial(write, "stdout")),
            Capture(partial(write, "stderr")),
        )
        self._ready = select.poll()

    def open(self) -> tuple[int, int]:
        """Start reading. Returns the descriptors to write to, the caller's to close."""
        writer = self._stdout.open()
        try:
            writers = writer, self._stderr.open()
        except OSError:
            os.close(writer)
            raise
        for capture in self._both:
            self._ready.register(capture.fd, select.POLLIN)
        return writers

    def drain(self) -> None:
        """See `Capture.drain`. One look tells that there is nothing, as after most calls."""
        if self._ready.poll(0) or self._stdout.unfinished or self._stderr.unfinished:
            for capture in self._both:
                capture.drain()

    def close(self) -> None:
        """See `Capture.close`."""
        for capture in self._both:
            capture.close()
        self._ready = select.poll()
