"""Files of the state directory: written whole or not at all, readable by their owner only."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace a file's content in one step; mode 0600 from the first byte on."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no Path
        file.write(text)
    temporary.replace(path)


def make_private(directory: Path) -> None:
    """Make a directory (and its parents); the directory itself is for its owner only."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
