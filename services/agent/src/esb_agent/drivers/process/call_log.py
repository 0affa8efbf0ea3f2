"""One worker's part of its function's log: what it printed, and what the platform says of each call.

START, END and REPORT are worded as AWS Lambda words them. Each entry is a JSON object on a line:

{"time": "2025-01-31T12:00:00.000Z", "worker": "hello-1", "stream": "stdout", "request_id": "...",
"trace_id": "1-...", "line": "..."}
"""

import json
import re
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil

from esb_agent.drivers.process.exchange import Call
from esb_agent.drivers.process.logs import LogFile
from esb_agent.drivers.process.payloads import Ending, ending_text

PLATFORM = "platform"
BETWEEN_CALLS = '"request_id": "", "trace_id": "", "line": '
# AWS: what LogType=Tail gives.
TAIL_BYTES = 4096
MIB = 1024 * 1024
TO_JSON = json.JSONEncoder(ensure_ascii=False).encode
TRACE_FIELD = re.compile(r"(?:^|;)\s*(Root|Parent|Sampled)=([^;]*)")


def time_text() -> str:
    """Now, as entries have it."""
    now = time.time()
    return f"{_second(int(now))}.{int(now % 1 * 1000):03d}Z"


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
        self._worker = TO_JSON(worker_id)
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
        # The part of an entry that is the same for all of a call.
        self._call = BETWEEN_CALLS

    def output(self, stream: str, lines: list[bytes]) -> None:
        """What the function printed."""
        if self._tail:
            for line in lines:
                self._tail.add(line)
        # A flood of short lines must not hold up the other workers' calls: the head is written once.
        start = f'{{"time": "{time_text()}{self._head(stream)}'
        texts = [f"{start}{TO_JSON(line.decode('utf-8', 'replace'))}}}\n" for line in lines]
        self._write("".join(texts))

    def started(self, call: Call) -> None:
        """The runtime was given a call."""
        self._request_id = call.request_id.decode()
        self._trace = dict(TRACE_FIELD.findall(call.trace.decode("latin-1"))) if call.trace else {}
        trace_id = TO_JSON(self._trace.get("Root", ""))
        self._call = f'"request_id": "{self._request_id}", "trace_id": {trace_id}, "line": '
        self._tail = Tail() if call.tail else None
        self._begun = time.perf_counter()
        self._held = self._platform(f"START RequestId: {self._request_id} Version: $LATEST")

    def finished(self, ending: Ending | None) -> bytes:
        """The call is over; `ending` when the worker is, too. Returns header lines for the answer."""
        seconds = time.perf_counter() - self._begun
        lines: list[str] = []
        if ending:
            lines.append(ending_text(ending, self._request_id, time.time()))
            if ending.kind != "timeout":
                lines.append(ending.error_type)
        self._write(
            self._platform(*lines, f"END RequestId: {self._request_id}", self._report(seconds, ending))
        )
        tail, self._tail = self._tail, None
        self._request_id, self._trace, self._call = "", {}, BETWEEN_CALLS
        return tail.header() if tail else b""

    def init_failed(self, seconds: float, status: str) -> None:
        """It never came as far as a call."""
        line = f"INIT_REPORT Init Duration: {seconds * 1000:.2f} ms\tPhase: init\t{status}\t"
        self._write(self._platform(line))

    def show_start(self) -> None:
        """Write the START of a call that goes on without a word."""
        if self._held:
            self._write("")

    def _report(self, seconds: float, ending: Ending | None) -> str:
        init = 0.0 if self._initialised else self._init_seconds()
        used = min(ceil(self._peak_bytes() / MIB), self._memory_mb)
        parts = [
            f"REPORT RequestId: {self._request_id}",
            f"Duration: {seconds * 1000:.2f} ms",
            # AWS bills the first call's initialisation with it.
            f"Billed Duration: {ceil((init + seconds) * 1000)} ms",
            f"Memory Size: {self._memory_mb} MB",
            f"Max Memory Used: {used} MB",
        ]
        if not self._initialised:
            parts.append(f"Init Duration: {init * 1000:.2f} ms")
            self._initialised = True
        if ending:
            parts.append("Status: timeout" if ending.kind == "timeout" else "Status: error")
            parts += [] if ending.kind == "timeout" else [f"Error Type: {ending.error_type}"]
        return "\t".join(parts) + "\t" + self._xray()

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
        start = f'{{"time": "{time_text()}{self._head(PLATFORM)}'
        return "".join([f"{start}{TO_JSON(line)}}}\n" for line in lines])

    def _head(self, stream: str) -> str:
        """What stands between an entry's time and its line."""
        return f'", "worker": {self._worker}, "stream": "{stream}", {self._call}'

    def _write(self, text: str) -> None:
        held, self._held = self._held, ""
        self._file.write((held + text).encode())
