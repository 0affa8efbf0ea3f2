"""One worker's part of its function's log: what it printed, and what the platform says of each call.

START, END and REPORT are worded as AWS Lambda words them. Each entry is a JSON object on a line:

{"time": "2025-01-31T12:00:00.000Z", "worker": "hello-1", "stream": "stdout", "request_id": "...",
"trace_id": "1-...", "line": "..."}
"""

import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring
from math import ceil

from esb_agent.drivers.log_files import LogFile
from esb_agent.drivers.process.exchange import Call
from esb_agent.drivers.process.payloads import Ending, ending_text

PLATFORM = "platform"
BETWEEN_CALLS = '", "request_id": "", "trace_id": "", "line": '
NO_TRACE: dict[str, str] = {}
# AWS: what LogType=Tail gives.
TAIL_BYTES = 4096
MIB = 1024 * 1024
# A string as JSON, only what must be escaped escaped; in C.
TO_JSON = encode_basestring
MILLISECONDS = tuple(f".{number:03d}Z" for number in range(1000))


def time_text() -> str:
    """Now, as entries have it."""
    now = time.time()
    second = int(now)
    return _second(second) + MILLISECONDS[int((now - second) * 1000)]


def trace_fields(trace: str) -> dict[str, str]:
    """`Root=1-...;Parent=...;Sampled=1` in parts."""
    fields: dict[str, str] = {}
    for part in trace.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            fields[name.lstrip()] = value
    return fields


@lru_cache(maxsize=4)
def _second(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class Tail:
    """The last bytes of what a call wrote, for the caller that asked for them."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, text: bytes) -> None:
        """Append a line."""
        self._data += text
        self._data += b"\n"
        if len(self._data) > 16 * TAIL_BYTES:
            del self._data[:-TAIL_BYTES]

    def header(self) -> bytes:
        """As a line of the answer's head; valid UTF-8, as callers decode it without a second thought."""
        text = self._data.decode("utf-8", "replace").encode()[-TAIL_BYTES:]
        return b"X-Esb-Log-Result: %b\r\n" % b64encode(text.decode("utf-8", "ignore").encode())


class CallLog:
    """Written to by the captures of one worker's output and by its exchange.

    `peak_bytes()` is the most memory the worker was seen to use, now included; `init_seconds()` what its
    start took.
    """

    def __init__(
        self,
        file: LogFile,
        worker_id: str,
        memory_mb: int,
        *,
        peak_bytes: Callable[[], int],
        init_seconds: Callable[[], float],
    ) -> None:
        self._file = file
        self._worker = f'", "worker": {TO_JSON(worker_id)}, "stream": "'
        self._memory_mb = memory_mb
        self._peak_bytes = peak_bytes
        self._init_seconds = init_seconds
        self._initialised = False
        self._request_id = ""
        self._trace: dict[str, str] = {}
        self._tail: Tail | None = None
        self._begun = 0.0
        # The START of a call that has written nothing yet: joined with what comes next, as most calls are
        # short and a write costs more than a line.
        self._held = ""
        # The part of an entry that is the same for all of a call; and with what is the same for its frame.
        self._call = BETWEEN_CALLS
        self._frame = ""

    def output(self, stream: str, lines: list[bytes]) -> None:
        """What the function printed."""
        if self._tail:
            for line in lines:
                self._tail.add(line)
        # A flood of short lines must not hold up the other workers' calls: the head is written once.
        start = f'{{"time": "{time_text()}{self._worker}{stream}{self._call}'
        texts = [f"{start}{TO_JSON(line.decode('utf-8', 'replace'))}}}\n" for line in lines]
        self._write("".join(texts))

    def started(self, call: Call) -> None:
        """The runtime was given a call."""
        request_id = self._request_id = call.request_id.decode()
        self._trace = trace_fields(call.trace.decode("latin-1")) if call.trace else NO_TRACE
        trace_id = TO_JSON(self._trace.get("Root", ""))
        self._call = f'", "request_id": "{request_id}", "trace_id": {trace_id}, "line": '
        self._frame = f"{self._worker}{PLATFORM}{self._call}"
        self._tail = Tail() if call.tail else None
        self._begun = time.perf_counter()
        self._held = self._platform(f"START RequestId: {request_id} Version: $LATEST")

    def finished(self, ending: Ending | None) -> bytes:
        """The call is over; `ending` when the worker is, too. Returns header lines for the answer."""
        seconds = time.perf_counter() - self._begun
        end, report = f"END RequestId: {self._request_id}", self._report(seconds, ending)
        if ending:
            said = [ending_text(ending, self._request_id, time.time())]
            said += [] if ending.kind == "timeout" else [ending.error_type]
            self._write(self._platform(*said, end, report))
            self._file.flush()
        else:
            self._write(self._platform(end, report))
        tail, self._tail = self._tail, None
        self._request_id, self._trace, self._call = "", NO_TRACE, BETWEEN_CALLS
        return tail.header() if tail else b""

    def init_failed(self, seconds: float, status: str) -> None:
        """It never came as far as a call."""
        line = f"INIT_REPORT Init Duration: {seconds * 1000:.2f} ms\tPhase: init\t{status}\t"
        self._frame = f"{self._worker}{PLATFORM}{self._call}"
        self._write(self._platform(line))
        self._file.flush()

    def flush(self) -> None:
        """Put into the file what is gathered for it."""
        self._file.flush()

    def show_start(self) -> None:
        """Write the START of a call that goes on without a word."""
        if self._held:
            self._write("")

    def _report(self, seconds: float, ending: Ending | None) -> str:
        init = 0.0 if self._initialised else self._init_seconds()
        used = min(ceil(self._peak_bytes() / MIB), self._memory_mb)
        # AWS bills the first call's initialisation with it.
        text = (
            f"REPORT RequestId: {self._request_id}\tDuration: {seconds * 1000:.2f} ms\t"
            f"Billed Duration: {ceil((init + seconds) * 1000)} ms\tMemory Size: {self._memory_mb} MB\t"
            f"Max Memory Used: {used} MB\t"
        )
        if not self._initialised:
            text += f"Init Duration: {init * 1000:.2f} ms\t"
            self._initialised = True
        if ending:
            timeout = ending.kind == "timeout"
            text += "Status: timeout\t" if timeout else f"Status: error\tError Type: {ending.error_type}\t"
        return text + self._xray() if self._trace else text

    def _xray(self) -> str:
        """AWS's second line of the report; absent when the trace is not sampled."""
        trace = self._trace
        if "Root" not in trace or trace.get("Sampled") == "0":
            return ""
        parts = [f"\nXRAY TraceId: {trace['Root']}"]
        parts += [f"SegmentId: {trace['Parent']}"] if "Parent" in trace else []
        parts += ["Sampled: true"] if trace.get("Sampled") == "1" else []
        return "\t".join(parts) + "\t"

    def _platform(self, *lines: str) -> str:
        if self._tail:
            for line in lines:
                self._tail.add(line.encode())
        start = f'{{"time": "{time_text()}{self._frame}'
        return "".join([f"{start}{TO_JSON(line)}}}\n" for line in lines])

    def _write(self, text: str) -> None:
        held, self._held = self._held, ""
        self._file.write((held + text).encode())
