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
from typing import Protocol

from attrs import field, frozen

from esb_gateway.auth.signed_request import ALGORITHM, PLAIN_PATH
from esb_gateway.http_messages import Request

SKEW_SECONDS = 300
_MOST = 64
_LONGEST = 1024
_ISO_BASIC = re.compile(rb"[0-9]{8}T[0-9]{6}Z")
_MARK = b", Signature="
_MARK_LENGTH = 64
_BLOCK = 64  # bytes, of SHA-256


class _Hash(Protocol):
    """A hash under way."""

    def copy(self) -> _Hash: ...
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...


class _Hmac:
    """HMAC with the key worked in already, which is most of the work for texts this short."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_BLOCK, b"\0")
        self._inner: _Hash = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer: _Hash = sha256(bytes(byte ^ 0x5C for byte in block))

    def hexdigest(self, text: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return outer.hexdigest()


@frozen
class _Form:
    """What one client's Authorization headers of a day have in common; `names` are the signed headers.

    `canonical` and `to_sign` are the texts that are signed, with places for what differs.
    """

    day: bytes
    names: tuple[bytes, ...]
    signed: frozenset[bytes]
    canonical: bytes
    to_sign: bytes
    hmac: _Hmac = field(repr=False)


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
        self._forms[before] = _form(scope.encode("latin-1"), signing_key, signed_headers.encode("latin-1"))

    def verify(self, request: Request, body: bytes, now: float) -> bool:
        """Whether the request is of a known form and its signature right; False says nothing."""
        fields = request.fields
        before, _, mark = fields.get(b"authorization", b"").rpartition(_MARK)
        form = self._forms.get(before)
        date = fields.get(b"x-amz-date", b"")
        if form is None or request.query or len(mark) != _MARK_LENGTH or b"x-amz-security-token" in fields:
            return False
        if len(fields) != len(request.sent):  # one of them is there twice
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
        to_sign = form.to_sign % (date, sha256(canonical).hexdigest().encode())
        return hmac.compare_digest(form.hmac.hexdigest(to_sign).encode(), mark)


def _form(scope: bytes, signing_key: bytes, listed: bytes) -> _Form:
    names = tuple(listed.split(b";"))
    plain = [name.replace(b"%", b"%%") for name in names]
    lines = b"".join([name + b":%b\n" for name in plain])
    return _Form(
        day=scope[:8],
        names=names,
        signed=frozenset(names),
        canonical=b"%b\n%b\n\n" + lines + b"\n" + b";".join(plain) + b"\n%b",
        to_sign=ALGORITHM.encode() + b"\n%b\n" + scope.replace(b"%", b"%%") + b"\n%b",
        hmac=_Hmac(signing_key),
    )


def _canonical(request: Request, form: _Form, body_hash: bytes) -> bytes | None:
    """The text that was signed, up to the body's hash; None where it takes more than this to make it."""
    fields, signed = request.fields, form.signed
    for name in fields:
        if name.startswith(b"x-amz-") and name not in signed:
            return None
    path = request.raw_path
    target = _target(path) if len(path) < _LONGEST else None
    if target is None:
        return None
    values = [request.method.encode("latin-1"), target]
    for name in form.names:
        value = fields.get(name)
        if value is None:
            return None
        values.append(b" ".join(value.split()))
    values.append(body_hash)
    return form.canonical % tuple(values)


@lru_cache(maxsize=256)
def _target(path: str) -> bytes | None:
    """The path as it is signed; None where it takes more than this to make it."""
    return path.encode("latin-1") if PLAIN_PATH.fullmatch(path) else None


@lru_cache(maxsize=1024)
def _epoch(date: bytes) -> int | None:
    """Seconds since the epoch of `20240131T235959Z`."""
    if not _ISO_BASIC.fullmatch(date):
        return None
    try:
        return calendar.timegm(time.strptime(date.decode("ascii"), "%Y%m%dT%H%M%SZ"))
    except (ValueError, OverflowError):
        return None
