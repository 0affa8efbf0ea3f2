"""What functions print, a JSON line each as the agent keeps it, for people: time, request id, line."""

from __future__ import annotations

import json
import re
from pathlib import Path

SUFFIX = ".log"
_NO_REQUEST = "-"  # printed outside of a call, while the function was loading
_ID_WIDTH = 36
_PLATFORM = "platform"
_FIELD_ENDS = re.compile(r"[\t\n]+")


def function_log(state: Path, function: str) -> Path:
    """Where the agent writes what a function prints."""
    return _directory(state) / f"{function}{SUFFIX}"


def functions_with_logs(state: Path) -> list[str]:
    """The functions that printed something, by name."""
    return sorted(path.name.removesuffix(SUFFIX) for path in _directory(state).glob(f"*{SUFFIX}"))


def readable(text: str) -> str:
    """`2030-01-31T12:00:00.000Z  <request id>  <line>`; what is no line of the agent's is shown as it is."""
    try:
        entry = json.loads(text)
        request = entry["request_id"] or _NO_REQUEST
        line = entry["line"]
        if entry.get("stream") == _PLATFORM:
            # A report is fields between tabs, on two lines.
            line = "  ".join(part for part in _FIELD_ENDS.split(line) if part)
        return f"{entry['time']}  {request:<{_ID_WIDTH}}  {line}"
    except (ValueError, KeyError, TypeError):
        return text


def _directory(state: Path) -> Path:
    return state / "agent" / "logs"
