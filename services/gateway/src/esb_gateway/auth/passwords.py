"""Passwords and their scrypt hashes, `scrypt:N:r:p:salt:hash` with salt and hash in base64.

Checking takes the same time for every name: one that does not exist is checked against a hash nobody knows.
A password that stands in the file as it is is hashed once and from then on treated like the others.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from attrs import frozen

_N, _R, _P = 1 << 14, 8, 1
_MAX_MEMORY = 64 * 1024 * 1024
_LENGTH = 32


@frozen
class PasswordHash:
    """A hash and what it was made with."""

    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    def matches(self, password: str) -> bool:
        """Whether this is the password's hash; some 30 ms of work, off the event loop please."""
        # a lone surrogate may come out of JSON; it is a wrong password, not an error
        secret = password.encode("utf-8", "surrogatepass")
        costs = {"n": self.n, "r": self.r, "p": self.p, "maxmem": _MAX_MEMORY}
        made = hashlib.scrypt(secret, salt=self.salt, dklen=len(self.digest), **costs)
        return hmac.compare_digest(made, self.digest)

    def __str__(self) -> str:
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt:{self.n}:{self.r}:{self.p}:{salt}:{digest}"


def hash_password(password: str) -> PasswordHash:
    """Return a new hash of a password."""
    salt, secret = secrets.token_bytes(16), password.encode("utf-8", "surrogatepass")
    digest = hashlib.scrypt(secret, salt=salt, n=_N, r=_R, p=_P, maxmem=_MAX_MEMORY, dklen=_LENGTH)
    return PasswordHash(_N, _R, _P, salt, digest)


def parse_hash(text: str) -> PasswordHash | None:
    """Read the form above; None when it is something else, or would take more memory than is given."""
    parts = text.split(":")
    if len(parts) != 6 or parts[0] != "scrypt":
        return None
    try:
        n, r, p = (int(part) for part in parts[1:4])
        salt, digest = (base64.b64decode(part, validate=True) for part in parts[4:])
    except (ValueError, binascii.Error):
        return None
    power_of_two = n > 1 and n & (n - 1) == 0
    if not power_of_two or not 0 < r <= 32 or not 0 < p <= 16 or 128 * n * r * 2 > _MAX_MEMORY:
        return None
    return PasswordHash(n, r, p, salt, digest) if len(salt) >= 8 and len(digest) >= 16 else None
