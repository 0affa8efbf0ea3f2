"""One JSON line per request: who called what, how it ended, how long it took.

Written past structlog's processors: they cost more than answering a request does. The line has their form.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import BinaryIO, Protocol

import orjson


class Log(Protocol):
    """What the gateway needs of a structlog logger."""

    def info(self, event: str, **fields: object) -> object:
        """Write a line."""

    def warning(self, event: str, **fields: object) -> object:
        """Write a line that somebody should look at."""

    def error(self, event: str, **fields: object) -> object:
        """Write a line that somebody must look at."""

    def exception(self, event: str, **fields: object) -> object:
        """Write a line with the traceback of the exception that is being handled."""


class AccessLog:
    """Writes to a binary stream; without one (`on` is false) callers don't even gather the fields.

    Lines of one turn of the event loop go out together: `soon` runs what it is given in the next.
    """

    def __init__(
        self,
        stream: BinaryIO | None,
        now: Callable[[], float],
        soon: Callable[[Callable[[], None]], object] = lambda work: asyncio.get_running_loop().call_soon(
            work
        ),
    ) -> None:
        self._stream = stream
        self._now = now
        self._soon = soon
        self._lines: list[bytes] = []
        self.on = stream is not None

    def write(self, fields: dict[str, object], seconds: float) -> None:
        """Write the line of a finished request; `fields` is used up."""
        now = self._now()
        fields["event"] = "request"
        fields["level"] = "info"
        fields["duration_ms"] = round(seconds * 1_000_000) / 1000
        second, micros = divmod(int(now * 1_000_000), 1_000_000)
        # Six digits by a seventh before them: padding takes four times as long.
        fields["timestamp"] = f"{_second(second)}.{str(1_000_000 + micros)[1:]}Z"
        if not self._lines:
            self._soon(self._flush)
        try:
            line = orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:  # half a surrogate pair, in what a function said
            line = json.dumps(fields).encode() + b"\n"
        self._lines.append(line)

    def _flush(self) -> None:
        lines = b"".join(self._lines)
        self._lines.clear()
        if self._stream is None:
            return
        try:
            self._stream.write(lines)
            self._stream.flush()
        except OSError:  # whoever read the log is gone: answering goes on without it
            self.on = False


@lru_cache(maxsize=8)
def _second(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")
