"""Digests: SHA-256, lower-case hex, over the bytes as stored (contract §6). The files are read in `tree`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from typing import NewType

from artifact_contract.errors import FieldError, Kind

Sha256 = NewType("Sha256", str)

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def file_digest(data: bytes) -> Sha256:
    """The digest of a file with these bytes."""
    return Sha256(sha256(data).hexdigest())


def directory_digest(files: Iterable[tuple[str, Sha256]]) -> Sha256:
    r"""The digest of a directory: over the lines `<path>:<file digest>\n`, sorted bytewise.

    Raises:
        FieldError: there is no file, or a name has a line break, which would read as two lines.
    """
    # surrogateescape gives a name that isn't UTF-8 back as the bytes that are on the disk
    lines = sorted(f"{path}:{digest}".encode("utf-8", "surrogateescape") for path, digest in files)
    if not lines:
        raise FieldError("a directory with files", "an empty directory", kind=Kind.DIGEST)
    for line in lines:
        if b"\n" in line:
            raise FieldError("file names without line breaks", repr(line), kind=Kind.DIGEST)
    return Sha256(sha256(b"".join(line + b"\n" for line in lines)).hexdigest())


def same_digest(one: str, other: str) -> bool:
    """Whether two digests are the same; upper and lower case are."""
    return one.lower() == other.lower()


def parse_sha256(text: str) -> Sha256:
    """The text as a digest, case kept.

    Raises:
        FieldError: it isn't 64 hexadecimal digits.
    """
    if not _SHA256.fullmatch(text):
        raise FieldError("64 hexadecimal digits", repr(text), kind=Kind.DIGEST)
    return Sha256(text)
