"""Paths as texts: which stay inside the artifact root (contract §5); the disk is `tree`'s matter."""

from __future__ import annotations

import re
from typing import NewType

from artifact_contract.errors import FieldError, Kind

RelPath = NewType("RelPath", str)
RootPath = NewType("RootPath", str)
Segment = NewType("Segment", str)

_DRIVE = re.compile(r"[A-Za-z]:/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SEGMENT_BYTES = 255
_PATH_BYTES = 4095
_SHOWN = 20


def _reject(expected: str, text: str, hint: str = "") -> FieldError:
    return FieldError(expected, repr(text), hint=hint, kind=Kind.PATH)


def _check_characters(text: str) -> None:
    if not text.strip():
        raise _reject("a path", text)
    if _CONTROL.search(text):
        raise _reject("a path without control characters", text)
    if "\\" in text:
        raise _reject("a path with / between its segments", text, "a backslash is not a separator here")
    if len(text.encode()) > _PATH_BYTES or any(
        len(name.encode()) > _SEGMENT_BYTES for name in text.split("/")
    ):
        limits = f"a path of at most {_PATH_BYTES} bytes, {_SEGMENT_BYTES} a name"
        raise _reject(limits, f"{text[:_SHOWN]}...")


def parse_rel_path(text: str) -> RelPath:
    """A path below the artifact root, normalised: `./a//b/../c` gives `a/c`.

    Raises:
        FieldError: it is absolute, is the root itself, leaves the root, or is too long for any file system.
    """
    _check_characters(text)
    if text.startswith("/") or _DRIVE.match(text):
        raise _reject("a path relative to the artifact root", text)
    kept: list[str] = []
    for segment in text.split("/"):
        if segment == "..":
            if not kept:
                raise _reject("a path inside the artifact root", text)
            kept.pop()
        elif segment not in ("", "."):
            kept.append(segment)
    normal = "/".join(kept)
    if not normal.strip():
        raise _reject("a path below the artifact root", text, "the root itself can't be named here")
    if _DRIVE.match(normal):
        raise _reject("a path relative to the artifact root", text)
    return RelPath(normal)


def parse_root_path(text: str) -> RootPath:
    """An artifact root as written: absolute, or relative to the manifest's directory; `..` is allowed.

    Raises:
        FieldError: it is empty, is too long, or has characters that no path here has.
    """
    _check_characters(text)
    return RootPath(text)


def parse_segment(text: str) -> Segment:
    """A name that is exactly one path segment: a function's, a layer's.

    Raises:
        FieldError: it is empty, `.` or `..`, or has a separator, a control character or more than 255 bytes.
    """
    expected = "a name that is one path segment"
    if text in ("", ".", "..") or "/" in text or "\\" in text or _CONTROL.search(text):
        raise _reject(expected, text)
    if len(text.encode()) > _SEGMENT_BYTES:
        raise _reject(f"{expected} of at most {_SEGMENT_BYTES} bytes", f"{text[:_SHOWN]}...")
    return Segment(text)
