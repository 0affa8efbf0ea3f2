r"""What a signed request says about itself: the parts of a signature, and the text that was signed.

    Authorization: AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, SignedHeaders=…, \
        Signature=…
    or the same as query parameters, X-Amz-Algorithm and others ("presigned")

The rules are those of "Create a signed AWS API request" in the IAM user guide: the path is encoded once more
than it was sent, query parameters are decoded, encoded and sorted, header values are trimmed and their runs
of spaces made one. Spellings that mean the same are so the same text; nothing else is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from attrs import frozen

from esb_gateway.auth.errors import IncompleteSignatureError, MissingAuthenticationTokenError

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
Header = tuple[bytes, bytes]
_USUAL = re.compile(rf"{ALGORITHM} Credential=(?P<credential>[^\s,=]+), SignedHeaders=(?P<signed>[^\s,=]+)")
_SIGNATURE_LENGTH = 64
_WHITE = " \t\n\r\x0b\x0c"  # of HTTP; of texts, what a byte above ASCII stands for may be white space too
_MAX_CACHED = 1024
PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?")
_PRESIGNED = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")


@frozen
class Signature:
    """A signature as it was sent; `expires` in seconds, for presigned requests only.

    `authorization` is the header of what SDKs send: the usual form, dated by X-Amz-Date.
    """

    credential: str
    signed_headers: str
    value: str
    date: str
    token: str
    expires: str | None = None
    authorization: bytes = b""


def read_header(authorization: bytes, date: bytes | None, token: bytes) -> Signature:
    """Read an Authorization header.

    Raises:
        MissingAuthenticationTokenError: it is of another scheme.
        IncompleteSignatureError: parts are missing, with all of them named as AWS does.
    """
    text = authorization.decode("latin-1")
    before, _, mark = text.rpartition(", Signature=")
    if date is not None and len(mark) == _SIGNATURE_LENGTH and mark.isalnum() and len(before) < _MAX_CACHED:
        parsed = _usual_form(before)
        if parsed is not None:
            stamp = date.decode("latin-1").strip()
            return Signature(*parsed, mark, stamp, token.decode("latin-1"), authorization=authorization)
    return _read_any_header(text, date, token)


@lru_cache(maxsize=256)
def _usual_form(text: str) -> tuple[str, str] | None:
    """Credential and signed headers of what SDKs write, which is the same for a day."""
    match = _USUAL.fullmatch(text)
    return None if match is None else (match["credential"], match["signed"])


def _read_any_header(text: str, date: bytes | None, token: bytes) -> Signature:
    scheme, _, rest = text.strip(_WHITE).partition(" ")
    if scheme != ALGORITHM:
        if scheme.startswith("AWS"):
            raise IncompleteSignatureError(f"Unsupported AWS 'algorithm': '{scheme[:64]}'.")
        raise MissingAuthenticationTokenError("Missing Authentication Token")
    parts: dict[str, str] = {}
    for part in rest.split(","):
        name, separator, value = part.strip(_WHITE).partition("=")
        if not separator or name in parts:
            raise IncompleteSignatureError(
                f"'{part.strip(_WHITE)[:128]}' not a valid key=value pair (missing equal-sign) in"
                f" Authorization header: '{text[:512]}'."
            )
        parts[name] = value
    credential, signed = parts.get("Credential"), parts.get("SignedHeaders")
    mark = parts.get("Signature")
    if not credential or not signed or not mark or date is None:
        raise _incomplete_header(parts, date, text)
    return Signature(credential, signed, mark, date.decode("latin-1").strip(), token.decode("latin-1"))


def _incomplete_header(parts: dict[str, str], date: bytes | None, text: str) -> IncompleteSignatureError:
    facts = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not parts.get(name)
    ]
    if date is None:
        facts.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    return IncompleteSignatureError(f"{' '.join(facts)} Authorization={text[:512]}")


def read_query(pairs: list[tuple[str, str]]) -> Signature | None:
    """Read a presigned request's parameters; None when it is not presigned.

    Raises:
        IncompleteSignatureError: some of them are missing, or there twice.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if name.startswith("X-Amz-"):
            if name in found:
                raise IncompleteSignatureError(f"AWS query-string parameter '{name[:64]}' is there twice.")
            found[name] = value
    if not any(name in found for name in _PRESIGNED[:3]):
        return None
    missing = [name for name in _PRESIGNED if not found.get(name)]
    if missing:
        facts = " ".join(f"AWS query-string parameters must include '{name}'." for name in missing)
        raise IncompleteSignatureError(f"{facts} Re-examine the query-string parameters.")
    if found["X-Amz-Algorithm"] != ALGORITHM:
        raise IncompleteSignatureError(f"Unsupported AWS 'algorithm': '{found['X-Amz-Algorithm'][:64]}'.")
    return Signature(
        found["X-Amz-Credential"],
        found["X-Amz-SignedHeaders"],
        found["X-Amz-Signature"],
        found["X-Amz-Date"],
        found.get("X-Amz-Security-Token", ""),
        found.get("X-Amz-Expires", ""),
    )


def query_pairs(query: bytes) -> list[tuple[str, str]]:
    """Return the query's parameters, decoded into text byte by byte; `+` is a space."""
    pairs = []
    for part in query.replace(b"+", b" ").split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            pairs.append((_decoded(name), _decoded(value)))
    return pairs


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the parameters as they are signed: encoded and in order."""
    encoded = [(_encoded(name), _encoded(value)) for name, value in pairs]
    encoded.sort()
    return "&".join([f"{name}={value}" for name, value in encoded])


def canonical_path(raw: str) -> str:
    """Return the path, as sent, the way it is signed: without `.`, `..` and empty segments, encoded again."""
    return raw if PLAIN_PATH.fullmatch(raw) else _normal_path(raw)


@lru_cache(maxsize=32)
def _normal_path(raw: str) -> str:
    segments: list[str] = []
    for segment in raw.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    end = "/" if segments and raw.endswith("/") else ""
    return quote("/" + "/".join(segments) + end, safe="/~", encoding="latin-1")


def canonical_headers(headers: Iterable[Header], names: str) -> str | None:
    """Return the signed headers as text, one a line; None when one of them is not there."""
    wanted = _wanted(names)
    values: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name = wanted.get(raw_name)
        if name is not None:
            # as bytes: as text, a no-break space would be white space too
            value = b" ".join(raw_value.split()).decode("latin-1")
            values[name] = f"{values[name]},{value}" if name in values else value
    try:
        return "".join([f"{name}:{values[name]}\n" for name in wanted.values()])
    except KeyError:
        return None


@lru_cache(maxsize=64)
def _wanted(names: str) -> dict[bytes, str]:
    return {name.encode("latin-1", "replace"): name for name in names.split(";")}


def _decoded(part: bytes) -> str:
    return (unquote_to_bytes(part) if b"%" in part else part).decode("latin-1")


def _encoded(text: str) -> str:
    return text if text.isalnum() and text.isascii() else quote(text, safe="-_.~", encoding="latin-1")
