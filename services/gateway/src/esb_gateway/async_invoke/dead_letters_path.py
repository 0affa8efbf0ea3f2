"""Where the dead letters are."""

from __future__ import annotations

DEAD_LETTERS = "/events/dead-letters"
_BELOW = f"{DEAD_LETTERS}/"


def is_dead_letters(path: str) -> bool:
    """Tell whether a path is theirs."""
    return path.startswith(DEAD_LETTERS) and (len(path) == len(DEAD_LETTERS) or path.startswith(_BELOW))
