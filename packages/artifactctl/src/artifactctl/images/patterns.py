"""File name patterns as Docker has them: one segment at a time in COPY, whole paths in `.dockerignore`.

`*` any run of characters but `/`, `?` one of them, `[a-z]` and `[^a-z]` one of a set, backslash makes the
next one plain; `**`, in `.dockerignore` only, any number of directories.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from artifact_contract.errors import FieldError

_STAR = "[^/]*"
_ANYTHING = ".*"
_DIRECTORIES = "(?:.*/)?"


def has_wildcards(segment: str) -> bool:
    """Whether the segment is a pattern and not simply a name."""
    return re.search(r"[*?\[]", re.sub(r"\\.", "", segment)) is not None


def plain_name(segment: str) -> str:
    r"""A segment without wildcards as the name it stands for: `a\*` is `a*`."""
    return re.sub(r"\\(.)", r"\1", segment, flags=re.DOTALL)


def match_segment(pattern: str, name: str) -> bool:
    """Whether one path segment matches.

    Raises:
        FieldError: the pattern is malformed.
    """
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return compile_pattern(pattern)


def compile_pattern(pattern: str, *, double_star: bool = False) -> re.Pattern[str]:
    """The pattern as a regular expression for `fullmatch`.

    Raises:
        FieldError: a set isn't closed, or a backslash stands at the end.
    """
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        part, position = _next_part(pattern, position, double_star=double_star)
        parts.append(part)
    try:
        return re.compile("".join(_without_retries(parts)), re.DOTALL)
    except re.error as error:
        raise _malformed(pattern) from error


def _without_retries(parts: Iterable[str]) -> list[str]:
    """The parts, each `*` that another one follows tied to the first place where what is between them fits.

    Any later place is the other one's to reach; a regular expression that tried them all would take ages.
    """
    kept: list[str] = []
    star: int | None = None
    for part in parts:
        if part == _STAR and star is not None:
            kept[star] = f"(?>{_STAR}?"
            kept.append(")")
        if part == _STAR:
            star = len(kept)
        elif part in (_ANYTHING, _DIRECTORIES):
            star = None
        kept.append(part)
    return kept


def _next_part(pattern: str, position: int, *, double_star: bool) -> tuple[str, int]:
    character = pattern[position]
    if double_star and pattern.startswith("**", position):
        position += len("**/" if pattern.startswith("**/", position) else "**")
        return _ANYTHING if position == len(pattern) else _DIRECTORIES, position
    if character == "*":
        return _STAR, position + 1
    if character == "?":
        return "[^/]", position + 1
    if character == "[":
        return _set(pattern, position)
    escaped = character == "\\"
    if position + escaped == len(pattern):
        raise _malformed(pattern)
    return re.escape(pattern[position + escaped]), position + 1 + escaped


def _set(pattern: str, position: int) -> tuple[str, int]:
    found = re.compile(r"\[(\^?)((?:\\.|[^\]\\])+)\]").match(pattern, position)
    if found is None:
        raise _malformed(pattern)
    members = re.sub(r"\\(.)|([\[&~|^])", lambda one: _plain_member(one[1] or one[2]), found[2])
    return f"(?!/)[{found[1]}{members}]", found.end()


def _plain_member(character: str) -> str:
    return character if character.isalnum() else f"\\{character}"


def _malformed(pattern: str) -> FieldError:
    return FieldError("a well-formed pattern", repr(pattern))
