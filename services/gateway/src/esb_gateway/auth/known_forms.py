"""The usual signature, verified in one pass over bytes.

A client signs every request alike: the same key and day, the same headers, no query, a plain path. Once
such a form was verified in the general way (`sigv4.py`), what it said of key, scope and signed headers is
kept, and the next request of that form costs its three hashes and little else. Whatever is not exactly of a
known form, or does not verify, is looked at in the general way, which has the words for refusals.

Only verified forms are kept, so nobody fills this memory without a key.
"""

from __future__ import annotations

import calendar
import hmac
import re
import time
from functools import lru_cache
from hashlib import sha256

from attrs import field, frozen

from esb_gateway.auth.signed_request import ALGORITHM, PLAIN_PATH
from esb_gateway.http_messages import Request

SKEW_SECONDS = 300
_MOST = 64
_LONGEST = 1024
_ISO_BASIC = re.compile(rb"[0-9]{8}T[0-9]{6}Z")
_MARK = b", Signature="
_MARK_LENGTH = 64
_TO_SIGN = ALGORITHM.encode() + b"\n%b\n%b\n%b"


@frozen
class _Form:
    """What one client's Authorization headers of a day have in common; `names` are the signed headers."""

    day: bytes
    scope: bytes
    signing_key: bytes = field(repr=False)
    names: tuple[bytes, ...]
    listed: bytes
    signed: frozenset[bytes]


class KnownForms:
    """Forms by what stands before the signature in the Authorization header."""

    def __init__(self) -> None:
        self._forms: dict[bytes, _Form] = {}

    def forget(self) -> None:
        """Keys have changed."""
        self._forms.clear()

    def learn(self, authorization: bytes, scope: str, signing_key: bytes, signed_headers: str) -> None:
        """Keep the form of a request that was verified."""
        before = authorization.rpartition(_MARK)[0]
        if not before or len(before) > _LONGEST:
            return
        if len(self._forms) >= _MOST:
            self._forms.clear()
        listed = signed_headers.encode("latin-1")
        names = tuple(listed.split(b";"))
        self._forms[before] = _Form(
            scope[:8].encode("latin-1"), scope.encode("latin-1"), signing_key, names, listed, frozenset(names)
        )

    def verify(self, request: Request, body: bytes, now: float) -> bool:
        """Whether the request is of a known form and its signature right; False says nothing."""
        fields = request.fields
        before, _, mark = fields.get(b"authorization", b"").rpartition(_MARK)
        form = self._forms.get(before)
        date = fields.get(b"x-amz-date", b"")
        if form is None or request.query or len(mark) != _MARK_LENGTH or b"x-amz-security-token" in fields:
            return False
        if len(fields) != len(request.headers):  # one of them is there twice
            return False
        made = _epoch(date) if date.startswith(form.day) else None
        if made is None or not -SKEW_SECONDS <= made - now <= SKEW_SECONDS:
            return False
        hashed = sha256(body).hexdigest().encode()
        if fields.get(b"x-amz-content-sha256", hashed) != hashed:
            return False
        canonical = _canonical(request, form, hashed)
        if canonical is None:
            return False
        to_sign = _TO_SIGN % (date, form.scope, sha256(canonical).hexdigest().encode())
        expected = hmac.digest(form.signing_key, to_sign, "sha256").hex().encode()
        return hmac.compare_digest(expected, mark)


def _canonical(request: Request, form: _Form, body_hash: bytes) -> bytes | None:
    """The text that was signed, up to the body's hash; None where it takes more than this to make it."""
    fields, signed = request.fields, form.signed
    for name in fields:
        if name.startswith(b"x-amz-") and name not in signed:
            return None
    if not PLAIN_PATH.fullmatch(request.raw_path):
        return None
    parts = [f"{request.method}\n{request.raw_path}\n\n".encode("latin-1")]
    for name in form.names:
        value = fields.get(name)
        if value is None:
            return None
        parts += (name, b":", b" ".join(value.split()), b"\n")
    parts += (b"\n", form.listed, b"\n", body_hash)
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _epoch(date: bytes) -> int | None:
    """Seconds since the epoch of `20240131T235959Z`."""
    if not _ISO_BASIC.fullmatch(date):
        return None
    try:
        return calendar.timegm(time.strptime(date.decode("ascii"), "%Y%m%dT%H%M%SZ"))
    except (ValueError, OverflowError):
        return None
