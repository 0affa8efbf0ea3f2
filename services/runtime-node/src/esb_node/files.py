"""Files of the state directory: written whole or not at all, readable by their owner only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


def write_private(path: Path, text: str) -> None:
    """Replace a file's content in one step; mode 0600 from the first byte on. One writer at a time.

    Raises:
        OSError: it can't be written; it names `path`, and nothing of the attempt is left.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        descriptor = os.open(temporary, _WRITE, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no Path
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error


def make_private(directory: Path) -> None:
    """Make a directory (and its parents) for its owner only; one that exists keeps the mode it has.

    Whoever gives `--state /tmp` must not find it closed to everybody else.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
