"""Verifies AWS Signature Version 4, the symmetric one, for one service and region.

    request ─▶ its Signature ─▶ scope, time ─▶ key ─▶ signed headers ─▶ the same HMAC made here, compared

Looked at in AWS's order, with AWS's words. What is compared with secrets is compared in constant time.
The body is always hashed: `UNSIGNED-PAYLOAD` and chunked signing are for S3 and refused here, as by Lambda.
"""

from __future__ import annotations

import calendar
import hmac
import re
import time
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache
from hashlib import sha256

from attrs import field, frozen

from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.credentials import AccessKey, Credentials
from esb_gateway.auth.errors import (
    IncompleteSignatureError,
    InvalidSignatureError,
    MissingAuthenticationTokenError,
    UnrecognizedClientError,
)
from esb_gateway.auth.known_forms import SKEW_SECONDS, KnownForms
from esb_gateway.auth.signed_request import (
    ALGORITHM,
    TERMINATOR,
    Header,
    Signature,
    canonical_headers,
    canonical_path,
    canonical_query,
    query_pairs,
    read_header,
    read_query,
)
from esb_gateway.http_messages import Request

EMPTY_HASH = sha256(b"").hexdigest()
_MAX_EXPIRES = 604_800
_ISO_BASIC = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_DOTS = re.compile(r"/\.\.?(?:/|$)")
_MAX_CACHED = 64
_MAX_SIGNED_HEADERS = 4096
_UNKNOWN = "The security token included in the request is invalid."
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret"
    " Access Key and signing method. Consult the service documentation for details."
)


@frozen
class Principal:
    """Who signed: the name of the key in credentials.yml, and its id."""

    name: str
    access_key_id: str


@frozen
class SignedRequest:
    """What a signature covers; header names in lower case, `path` and `query` as they were sent."""

    method: str
    path: str
    query: bytes
    headers: list[Header]
    body_hash: str = EMPTY_HASH


@frozen
class _Scoped:
    """A key made for one day: `scope` is `date/region/service/aws4_request`."""

    key: AccessKey
    scope: str
    signing_key: bytes = field(repr=False)


class SigV4:
    """Verifies requests; keeps the signing keys of the day."""

    def __init__(self, store: CredentialStore, region: str, service: str = "lambda") -> None:
        self._store = store
        self._region = region
        self._service = service
        self._seen: Credentials | None = None
        self._keys: dict[str, AccessKey] = {}
        self._scoped: dict[str, _Scoped] = {}
        self._known = KnownForms()

    def knows(self, request: Request, body: bytes, now: float) -> bool:
        """Whether this is signed as a request before was, and rightly; if not, ask `verify`."""
        return self._store.current is self._seen and self._known.verify(request, body, now)

    def precheck(self, request: SignedRequest, now: float) -> Signature:
        """Look at all that can be refused before the body is here, and return the signature.

        Raises:
            AuthError: it is missing, incomplete, of another time or scope, or of nobody known.
        """
        signature = _signature(request)
        self._check_scope(signature)
        _check_time(signature, now)
        self._scoped_key(signature)
        _check_signed_headers(request.headers, signature.signed_headers)
        return signature

    def verify(self, request: SignedRequest, now: float) -> Principal:
        """Check everything and return who it is.

        Raises:
            AuthError: with the status and code AWS answers.
        """
        return self.check(request, self.precheck(request, now))

    def check(self, request: SignedRequest, signature: Signature) -> Principal:
        """Compare the signature with what it should be, after `precheck`.

        Raises:
            InvalidSignatureError: it is another one.
        """
        scoped = self._scoped_key(signature)
        headers = canonical_headers(request.headers, signature.signed_headers)
        query = _canonical_query(request, signature) if request.query else ""
        canonical = (
            f"{request.method}\n{canonical_path(request.path)}\n{query}\n"
            f"{headers}\n{signature.signed_headers}\n{request.body_hash}"
        )
        if _DOTS.search(request.path):
            raise InvalidSignatureError("A path with '.' or '..' as a segment is signed as another path.")
        digest = sha256(canonical.encode("latin-1", "replace")).hexdigest()
        to_sign = f"{ALGORITHM}\n{_basic(signature.date)}\n{scoped.scope}\n{digest}"
        expected = hmac.digest(scoped.signing_key, to_sign.encode("latin-1", "replace"), "sha256").hex()
        same = hmac.compare_digest(expected.encode(), signature.value.encode("latin-1", "replace"))
        if headers is None or not same or not _hash_as_said(request):
            raise InvalidSignatureError(
                f"{_MISMATCH}\n\nThe Canonical String for this request should have been\n'{canonical}'\n\n"
                f"The String-to-Sign should have been\n'{to_sign}'\n"
            )
        if signature.authorization and not scoped.key.session_token:
            self._known.learn(
                signature.authorization, scoped.scope, scoped.signing_key, signature.signed_headers
            )
        return Principal(scoped.key.name, scoped.key.access_key_id)

    def _check_scope(self, signature: Signature) -> None:
        parts = signature.credential.split("/")
        if len(parts) != 5:
            raise IncompleteSignatureError(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/"
                f"term, got '{signature.credential[:256]}'"
            )
        _, day, region, service, terminator = parts
        date = _basic(signature.date)
        facts = ""
        if region != self._region:
            facts += f"Credential should be scoped to a valid region, not '{region[:64]}'. "
        if service != self._service:
            facts += f"Credential should be scoped to correct service: '{self._service}'. "
        if terminator != TERMINATOR:
            facts += (
                f"Credential should be scoped with a valid terminator: '{TERMINATOR}', "
                f"not '{terminator[:64]}'. "
            )
        if day != date[:8]:
            facts += (
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP:"
                f" '{day[:64]}' != '{date[:8]}', from '{date}'. "
            )
        if facts:
            raise InvalidSignatureError(facts)

    def _scoped_key(self, signature: Signature) -> _Scoped:
        """The key of a credential whose scope was checked, and its signing key."""
        if self._store.current is not self._seen:
            self._seen = self._store.current
            self._keys = {key.access_key_id: key for key in self._seen.access_keys}
            self._scoped = {}
            self._known.forget()
        scoped = self._scoped.get(signature.credential)
        if scoped is None:
            key_id, _, scope = signature.credential.partition("/")
            key = self._keys.get(key_id)
            if key is None:
                raise UnrecognizedClientError(_UNKNOWN)
            if len(self._scoped) >= _MAX_CACHED:
                self._scoped.clear()
            scoped = _Scoped(key, scope, derive_key(key.secret_access_key, scope))
            self._scoped[signature.credential] = scoped
        if signature.token or scoped.key.session_token:
            given = signature.token.encode("latin-1", "replace")
            if not hmac.compare_digest(scoped.key.session_token.encode(), given):
                raise UnrecognizedClientError(_UNKNOWN)
        return scoped


def derive_key(secret: str, scope: str) -> bytes:
    """Return the signing key of a secret for `date/region/service/aws4_request`."""
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode("latin-1", "replace"), "sha256")
    return key


def _signature(request: SignedRequest) -> Signature:
    authorization = date = amz_date = None
    token = b""
    for name, value in request.headers:
        if name == b"authorization":
            if authorization is not None:
                raise IncompleteSignatureError("Only one Authorization header is allowed.")
            authorization = value
        elif name == b"x-amz-date":
            amz_date = value
        elif name == b"date":
            date = value
        elif name == b"x-amz-security-token":
            token = value
    if authorization is not None:
        return read_header(authorization, amz_date if amz_date is not None else date, token)
    signature = read_query(query_pairs(request.query)) if b"X-Amz-" in request.query else None
    if signature is None:
        raise MissingAuthenticationTokenError("Missing Authentication Token")
    return signature


def _canonical_query(request: SignedRequest, signature: Signature) -> str:
    pairs = query_pairs(request.query)
    if signature.expires is not None:
        pairs = [pair for pair in pairs if pair[0] != "X-Amz-Signature"]
    return canonical_query(pairs)


def _check_time(signature: Signature, now: float) -> None:
    made = _epoch(signature.date)
    if made is None:
        raise IncompleteSignatureError(
            f"Date must be in ISO-8601 'basic format'. Got '{signature.date[:64]}'."
            " See http://en.wikipedia.org/wiki/ISO_8601"
        )
    shown = _basic(signature.date)
    if made > now + SKEW_SECONDS:
        raise InvalidSignatureError(
            f"Signature not yet current: {shown} is still later than {_stamp(now + SKEW_SECONDS)}"
            f" ({_stamp(now)} + 5 min.)"
        )
    if signature.expires is None:
        if made < now - SKEW_SECONDS:
            raise InvalidSignatureError(
                f"Signature expired: {shown} is now earlier than {_stamp(now - SKEW_SECONDS)}"
                f" ({_stamp(now)} - 5 min.)"
            )
        return
    if not (signature.expires.isascii() and signature.expires.isdigit() and len(signature.expires) <= 6):
        raise IncompleteSignatureError("X-Amz-Expires should be a number")
    seconds = int(signature.expires)
    if not 1 <= seconds <= _MAX_EXPIRES:
        raise IncompleteSignatureError(f"X-Amz-Expires must be between 1 and {_MAX_EXPIRES} seconds")
    if now > made + seconds:
        raise InvalidSignatureError(
            f"Signature expired: {_stamp(made + seconds)} is now earlier than {_stamp(now)}"
        )


def _check_signed_headers(headers: list[Header], names: str) -> None:
    """Host, and all that changes what a call means, must be signed."""
    if len(names) > _MAX_SIGNED_HEADERS:
        raise IncompleteSignatureError(f"SignedHeaders must not be longer than {_MAX_SIGNED_HEADERS}")
    signed = names.split(";")
    facts = (
        ""
        if "host" in signed
        else "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization. "
    )
    present = set()
    for raw, _ in headers:
        if raw.startswith(b"x-amz-"):
            name = raw.decode("latin-1")
            if name not in signed and name not in present:
                facts += f"'{name}' must be a 'SignedHeader' in the AWS Authorization. "
                present.add(name)
    if facts:
        raise InvalidSignatureError(facts)


def _hash_as_said(request: SignedRequest) -> bool:
    """Whether the header that tells the body's hash, if there is one, tells this body's."""
    expected = request.body_hash.encode()
    return all(
        value.strip().lower() == expected
        for name, value in request.headers
        if name == b"x-amz-content-sha256"
    )


@lru_cache(maxsize=64)
def _epoch(date: str) -> int | None:
    """Seconds since the epoch of `20240131T235959Z`, or of a Date header as HTTP has it."""
    try:
        if _ISO_BASIC.fullmatch(date):
            return calendar.timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
        parsed = parsedate_tz(date[:64])
        return None if parsed is None else int(mktime_tz(parsed))
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=64)
def _basic(date: str) -> str:
    """The date in ISO's basic format, whichever header it came from."""
    if _ISO_BASIC.fullmatch(date):
        return date
    made = _epoch(date)
    return date[:64] if made is None else _stamp(made)


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def body_hash(body: bytes) -> str:
    """Return the hash of a body as a signature covers it."""
    return sha256(body).hexdigest()
