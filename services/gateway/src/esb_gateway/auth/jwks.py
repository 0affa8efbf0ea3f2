"""The public keys of other issuers: from a file, or from a URL that is asked in a thread and cached.

A key is kept for two hours, as API Gateway does (of a file: for a minute). A token with a key id that is not
known makes the URL be asked again, once a minute at most; while it can't be reached the keys known before
stay, for a day.
"""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt
import orjson
from attrs import define, field

from esb_gateway.access_log import Log
from esb_gateway.auth.credentials import Issuer

FRESH_SECONDS = 2 * 3600.0
STALE_SECONDS = 24 * 3600.0
RETRY_SECONDS = 60.0
_FETCH_SECONDS = 5.0
_MAX_BYTES = 1024 * 1024
_ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "OKP": ("EdDSA",),
}
Fetch = Callable[[str], bytes]


@define
class PublicKey:
    """A key, as `cryptography` has it, and the only algorithms it may be used with."""

    key: Any
    algorithms: tuple[str, ...]


@define
class _Cached:
    keys: Mapping[str, PublicKey] = field(factory=dict)
    fetched: float = float("-inf")
    tried: float = float("-inf")
    lock: asyncio.Lock = field(factory=asyncio.Lock)


class KeySets:
    """Keys by issuer and key id."""

    def __init__(self, monotonic: Callable[[], float], log: Log, fetch: Fetch | None = None) -> None:
        self._monotonic = monotonic
        self._log = log
        self._fetch = fetch or fetch_url
        self._cached: dict[str, _Cached] = {}

    async def key(self, issuer: Issuer, key_id: str) -> PublicKey | None:
        """Return the key, or None when its issuer has none of that id or can't be asked."""
        source = issuer.jwks_file or issuer.jwks_url
        cached = self._cached.setdefault(source, _Cached())
        fresh = RETRY_SECONDS if issuer.jwks_file else FRESH_SECONDS
        if cached.lock.locked():
            # Who has a key does not wait for somebody else's question.
            if key_id not in cached.keys:
                async with cached.lock:
                    pass
        elif self._stale(cached, key_id, fresh):
            async with cached.lock:
                # a task: endpoints have none, and its timeout needs one
                await asyncio.create_task(self._refresh(issuer, source, cached))
        if self._monotonic() - cached.fetched > STALE_SECONDS:
            return None
        return cached.keys.get(key_id)

    def _stale(self, cached: _Cached, key_id: str, fresh: float) -> bool:
        now = self._monotonic()
        wanted = key_id not in cached.keys or now - cached.fetched > fresh
        return wanted and now - cached.tried > RETRY_SECONDS

    async def _refresh(self, issuer: Issuer, source: str, cached: _Cached) -> None:
        cached.tried = self._monotonic()
        read = Path(source).read_bytes if issuer.jwks_file else lambda: self._fetch(source)
        try:
            async with asyncio.timeout(_FETCH_SECONDS * 2):
                cached.keys = parse_key_set(await asyncio.to_thread(read))
        except (OSError, ValueError) as error:
            self._log.warning("keys not read", issuer=issuer.issuer, source=source, error=str(error))
        else:
            cached.fetched = self._monotonic()


def fetch_url(url: str) -> bytes:
    """Return what is at an http or https URL; some seconds and a megabyte at most.

    Raises:
        OSError: it could not be had.
        ValueError: it is too long.
    """
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"no http URL: {url}")
    with urllib.request.urlopen(url, timeout=_FETCH_SECONDS) as response:  # noqa: S310 - the scheme was looked at
        data: bytes = response.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError("more than a megabyte")
    return data


def parse_key_set(data: bytes) -> dict[str, PublicKey]:
    """Return the keys of a JSON Web Key Set that can verify signatures, by id.

    Shared secrets, keys without an id and keys nobody here can use are left out.

    Raises:
        ValueError: it is no key set.
    """
    document = orjson.loads(data)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no JSON Web Key Set")  # noqa: TRY004 - the text is wrong, not the caller
    keys: dict[str, PublicKey] = {}
    for entry in listed:
        if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str):
            continue
        kind = entry.get("crv") if entry.get("kty") == "EC" else entry.get("kty")
        algorithms = _ALGORITHMS.get(kind, ()) if isinstance(kind, str) else ()
        named = entry.get("alg")
        if named is not None:
            algorithms = tuple(each for each in algorithms if each == named)
        if algorithms and entry.get("use", "sig") == "sig":
            try:
                keys[entry["kid"]] = PublicKey(jwt.PyJWK(entry, algorithm=algorithms[0]).key, algorithms)
            except (jwt.PyJWTError, ValueError, TypeError):
                continue
    return keys
