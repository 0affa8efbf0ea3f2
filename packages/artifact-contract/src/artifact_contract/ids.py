"""The id of an entry: a readable part and eight digits that change with what it was made from (contract §4).

`id = <slug>-<h8>`; the path is read as text, the file system is never asked:
`e2e/fixtures/template.e2e.yaml` without parameters gives `template-e2e-92eecc19` for its digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256 as _sha256
from typing import NewType

from artifact_contract.errors import FieldError, Kind

EntryId = NewType("EntryId", str)

_ID = re.compile(r"[a-z0-9-]+-[0-9a-f]{8}")
_OUTSIDE = re.compile(r"[^a-z0-9]+")


def canonical_ref(path: str) -> str:
    """The one spelling of a template path: `./svc/../template.yaml` gives `template.yaml`; case is kept."""
    text = path.strip().replace("\\", "/")
    absolute = text.startswith("/")
    kept: list[str] = []
    for segment in text.split("/"):
        if segment in ("", "."):
            continue
        if segment != "..":
            kept.append(segment)
        elif kept and kept[-1] != "..":
            kept.pop()
        elif not absolute:
            kept.append(segment)
    joined = "/".join(kept)
    return f"/{joined}" if absolute else joined or "."


def slug(path: str) -> str:
    """The readable part of an id: `svc/My Template.yaml` gives `my-template`, `.yaml` gives `template`."""
    name = path.strip().replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem, dot, _ = name.rpartition(".")
    return _OUTSIDE.sub("-", _lower(stem if dot else name)).strip("-") or "template"


def _lower(text: str) -> str:
    # Unicode's simple mapping is one character to one. str.lower() is the full one; that differs for `İ` only
    # (two characters, the first of them the simple one) and, seeing whole words, for a final sigma.
    return "".join(character.lower()[0] for character in text)


def parameters_text(parameters: Mapping[str, str]) -> str:
    r"""The parameters as `key=value` lines, keys in code-point order, joined by `\n`."""
    return "\n".join(f"{key}={parameters[key]}" for key in sorted(parameters))


def entry_id(path: str, parameters: Mapping[str, str], sha256: str) -> EntryId:
    """The id of the entry made from this template path, these parameters and this template digest."""
    facts = f"{canonical_ref(path)}\n{parameters_text(parameters)}\n{sha256.strip()}"
    return EntryId(f"{slug(path)}-{_sha256(facts.encode()).hexdigest()[:8]}")


def parse_entry_id(text: str) -> EntryId:
    """The text as an entry id.

    Raises:
        FieldError: it doesn't have the form of one.
    """
    if not _ID.fullmatch(text):
        raise FieldError("<slug>-<8 hex digits>, like template-e2e-92eecc19", repr(text), kind=Kind.ID)
    return EntryId(text)
