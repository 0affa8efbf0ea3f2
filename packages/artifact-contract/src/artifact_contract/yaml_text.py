"""How one value is written in YAML so that every reader sees the same text and type (contract §10)."""

from __future__ import annotations

import re
from functools import lru_cache
from json.encoder import encode_basestring

from artifact_contract.nodes import resolves_to_string

# Most values are of this shape; anything else takes the longer way.
_SIMPLE = re.compile(r"[A-Za-z0-9_/.](?:[A-Za-z0-9_/.@%+=$-]|:(?![ \t]|\Z))*\Z")
# Characters that are not printable or a line break to some reader; then what means something in YAML.
_UNFIT = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
    r"|: |:\Z| #|\A\s|\s\Z|\A[,\[\]{}#&*!|>'\"%@`]|\A[-?:](?=\s|\Z)|\A(?:---|\.\.\.)"
)
_ESCAPED = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_SIMPLE_KEY = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*\Z")


@lru_cache(maxsize=4096)
def plain_fits(text: str) -> bool:
    """Whether this text can stand unquoted in block style; nothing at all can (it is a null)."""
    return bool(_SIMPLE.match(text)) or not _UNFIT.search(text)


def quoted(text: str) -> str:
    """The text in double quotes, on one line."""
    written = encode_basestring(text)
    if written.isascii() and "\x7f" not in written:
        return written
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04X}", written)


def key_text(key: str) -> str:
    """A key: unquoted when it is an ordinary word to every reader."""
    return key if _SIMPLE_KEY.match(key) and resolves_to_string(key) else quoted(key)
