"""What a container prints, as entries of its function's log, and what its emulator's lines say of its calls.

    engine's pieces ─▶ lines ─▶ {"time", "worker", "stream", "request_id", "trace_id", "line"}

The emulator prints START, END and REPORT of each call among the function's own output. They stand on the
stream `platform`, as in mode `process`; what it says of its own doings is left out unless it warns.
"""

import json
import re
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path

from attrs import frozen

PLATFORM = "platform"
MAX_LINE_BYTES = 64 * 1024
TO_JSON = json.JSONEncoder(ensure_ascii=False).encode
# At the end of a line: a function may have left one unfinished.
CALL_LINE = re.compile(
    rb"(START RequestId: (\S+) Version: \S+|END RequestId: (\S+)|REPORT RequestId: (\S+)\t.*)$"
)
OWN_LINE = re.compile(rb"\d\d \w{3} \d{4} [\d:,]+ \[(\w+)\] \(\w+\) (.*)")
SHOWN_LEVELS = (b"WARNING", b"ERROR", b"FATAL", b"PANIC")
# How the emulator words that a call came to nothing, and the Python runtime client a function's own error.
FAILED = b"Invoke failed"
ERROR_LINE = re.compile(rb"\[ERROR\] [\w.]+: .*\rTraceback ", re.DOTALL)
# How much of a log file's end is looked through for a worker's last entry.
LOOK_BACK_BYTES = 256 * 1024


@frozen(kw_only=True)
class CallsNote:
    """How far a worker's calls have come: for whoever reads its output from here on."""

    invocations: int = 0
    errors: int = 0
    # Of the call under way, and in Unix time until when it may last; "" and 0: none is.
    request_id: str = ""
    until: float = 0.0


class Calls:
    """What is known of one worker's calls. `on_start` and `on_end` are told of each."""

    def __init__(
        self,
        timeout_ms: int,
        on_start: Callable[[], None] = lambda: None,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        # A call cannot last longer; a function that prints a START of its own must not look busy for ever.
        self._longest = timeout_ms / 1000 + 1
        self._on_start = on_start
        self._on_end = on_end
        self._until = 0.0
        self.request_id = ""
        self.invocations = 0
        self.errors = 0
        self._failed = False

    @property
    def busy(self) -> bool:
        """A call is under way."""
        return time.time() < self._until

    @property
    def note(self) -> CallsNote:
        """All there is to know of them."""
        return CallsNote(
            invocations=self.invocations, errors=self.errors, request_id=self.request_id, until=self._until
        )

    def take_up(self, note: CallsNote) -> None:
        """Go on where somebody else stopped reading."""
        self.invocations, self.errors = note.invocations, note.errors
        self.request_id, self._until = note.request_id, note.until

    def started(self, request_id: str, began: float) -> None:
        """The emulator gave the function a call, `began` in Unix time."""
        self.request_id = request_id
        self.invocations += 1
        self._failed = False
        self._until = began + self._longest
        self._on_start()

    def failed(self) -> None:
        """It came to an error; told twice, it counts once."""
        self.errors += not self._failed
        self._failed = True

    def ended(self) -> None:
        """It is over."""
        self._until = 0.0
        self._on_end()

    def reported(self) -> None:
        """Nothing of it comes any more."""
        self.request_id = ""


class Output:
    """One worker's. `write` appends to the function's log; entries up to `written` stand there already."""

    def __init__(
        self, worker_id: str, calls: Calls, write: Callable[[bytes], None], written: str = ""
    ) -> None:
        self._worker = TO_JSON(worker_id)
        self._calls = calls
        self._write = write
        self._written = written
        self._rests: dict[str, tuple[bytes, bytes]] = {}
        self._entries: list[str] = []
        # The time of the last piece, as the engine wrote it.
        self.last = b""

    def feed(self, pieces: Iterable[tuple[str, bytes]]) -> None:
        """Pieces of output with their streams: a time, a blank, a line or, without its end, a part of one."""
        for stream, piece in pieces:
            self._feed(stream, piece)
        self._write_entries()

    def _feed(self, stream: str, piece: bytes) -> None:
        stamp, _, data = piece.partition(b" ")
        self.last = stamp
        first, rest = self._rests.pop(stream, (stamp, b""))
        data = rest + data
        if not data.endswith(b"\n") and len(data) < MAX_LINE_BYTES:
            self._rests[stream] = first, data
            return
        self._line(stream, first, data.removesuffix(b"\n"))

    def flush(self) -> None:
        """The container has ended: what it began is all there is."""
        for stream, (stamp, data) in self._rests.items():
            self._line(stream, stamp, data)
        self._rests.clear()
        self._write_entries()

    def _write_entries(self) -> None:
        """In one go: a write costs more than a line."""
        if self._entries:
            self._write("".join(self._entries).encode())
            self._entries.clear()

    def _line(self, stream: str, stamp: bytes, line: bytes) -> None:
        entry = partial(self._entry, stamp)
        if own := OWN_LINE.fullmatch(line):
            level, text = own.groups()
            if text.startswith(FAILED):
                self._calls.failed()
            if level in SHOWN_LEVELS:
                entry(PLATFORM, text)
            return
        found = CALL_LINE.search(line)
        if not found:
            if ERROR_LINE.match(line):
                self._calls.failed()
            entry(stream, line)
            return
        if before := line[: found.start()]:
            entry(stream, before)
        text, started, ended, _ = found.groups()
        if started:
            self._calls.started(started.decode("utf-8", "replace"), unix(stamp))
        elif ended:
            self._calls.ended()
        entry(PLATFORM, text)
        if not started and not ended:
            self._calls.reported()

    def _entry(self, stamp: bytes, stream: str, line: bytes) -> None:
        moment = to_milliseconds(stamp)
        if moment <= self._written:
            return
        request_id = TO_JSON(self._calls.request_id)
        self._entries.append(
            f'{{"time": "{moment}", "worker": {self._worker}, "stream": "{stream}", '
            f'"request_id": {request_id}, "trace_id": "", '
            f'"line": {TO_JSON(line.decode("utf-8", "replace"))}}}\n'
        )


def to_milliseconds(stamp: bytes) -> str:
    """The engine's time, nanoseconds in UTC, as entries have it."""
    whole, _, fraction = stamp.decode("ascii", "replace").rstrip("Z").partition(".")
    return f"{whole}.{fraction[:3]:0<3}Z"


def unix(stamp: bytes) -> float:
    """The same in Unix time."""
    return float(since(stamp))


def since(stamp: bytes) -> str:
    """The same as the engine takes it to say since when, to the nanosecond: just after."""
    whole, _, fraction = stamp.decode("ascii", "replace").rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    nanos = seconds * 10**9 + int(f"{fraction[:9]:0<9}") + 1
    return f"{nanos // 10**9}.{nanos % 10**9:09d}"


def last_written(path: Path, worker_id: str) -> str:
    """When the worker's last entry in its function's log was printed; "" when there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOOK_BACK_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return ""
    mark = f'"worker": {TO_JSON(worker_id)}, '.encode()
    for line in reversed(lines):
        if mark in line:
            try:
                return str(json.loads(line)["time"])
            except (ValueError, KeyError):
                continue
    return ""
