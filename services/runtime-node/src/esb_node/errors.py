"""What keeps a box from coming up or going down; each text says what can be done about it."""

from __future__ import annotations

import os


class NodeError(Exception):
    """The world failed: exit code 4 (contract §12)."""


def error_text(error: NodeError | OSError) -> str:
    """The error for people: of the system's own, what was to be read, written or started, and why not."""
    if not isinstance(error, OSError):
        return str(error)
    fact = error.strerror or str(error)
    return f"{os.fsdecode(error.filename)}: {fact}" if error.filename is not None else fact


class BoxRunningError(NodeError):
    """The state directory has its box already; the text says who runs it."""


class PortInUseError(NodeError):
    """A port that was asked for is taken."""


class MissingPartsError(NodeError):
    """Parts of the embedded box are not installed."""


class StartError(NodeError):
    """A service ended or did not answer while the box was starting; the text has its last log lines."""
