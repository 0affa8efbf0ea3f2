"""Tokens: what the box itself gives, and what it takes from whom, as HTTP APIs' JWT authorizers do.

    token ─▶ its issuer, as the route names it ─▶ a key and the algorithms that go with it ─▶ signature
          ─▶ iss, aud or client_id, exp, nbf, iat ─▶ scopes

The key decides which algorithms may be: a secret HMAC, a public key its own kind. So neither `alg: none` nor
a public key used as a secret gets through.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import jwt
from artifact_contract.config_types import RouteAuth
from attrs import frozen
from jwt.types import Options

from esb_gateway.auth.credentials import Issuer, Jwt, User
from esb_gateway.auth.jwks import KeySets
from esb_gateway.errors import ForbiddenError, UnauthorizedError

OWN_ISSUER = "esb-gateway"
_OWN_ALGORITHM = "HS256"
_SECRET_ALGORITHMS = {"HS256": 32, "HS384": 48, "HS512": 64}  # and how long a secret each takes (RFC 7518)
_MAX_LENGTH = 16 * 1024
_MAX_TIME = 1e15
# Everything but the signature is looked at here, by the gateway's clock.
_SIGNATURE_ONLY: Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
Claims = Mapping[str, object]


@frozen
class Verified:
    """What a token says, and its scopes."""

    claims: Claims
    scopes: tuple[str, ...]


class Tokens:
    """Verifies tokens."""

    def __init__(self, key_sets: KeySets) -> None:
        self._key_sets = key_sets

    async def verify(self, token: str, auth: RouteAuth, known: Jwt, now: float) -> Verified:
        """Check a token against what a route asks for; `now` is seconds since the epoch.

        Raises:
            UnauthorizedError: it is none, or not good here and now.
            ForbiddenError: it is good, and has none of the route's scopes.
        """
        if not auth.issuer:
            claims = _decoded(token, known.secret, (_OWN_ALGORITHM,))
            issuer = OWN_ISSUER
        else:
            claims = await self._of_issuer(token, auth.issuer, known)
            issuer = auth.issuer
        if claims.get("iss") != issuer:
            raise _invalid("the issuer is another one")
        _check_audience(claims, auth.audience)
        _check_times(claims, now)
        scopes = _scopes(claims)
        if auth.scopes and not set(auth.scopes) & set(scopes):
            wanted = " ".join(auth.scopes)
            raise ForbiddenError(
                "none of the route's scopes",
                challenge=f'Bearer error="insufficient_scope", scope="{_quotable(wanted)}"',
            )
        return Verified(claims, scopes)

    async def _of_issuer(self, token: str, name: str, known: Jwt) -> Claims:
        issuer = next((each for each in known.issuers if each.issuer == name), None)
        if issuer is None:
            raise UnauthorizedError(f"issuer {name} is not in the credentials", challenge="Bearer")
        if issuer.secret:
            long = len(issuer.secret)
            algorithms = tuple(name for name, least in _SECRET_ALGORITHMS.items() if long >= least)
            return _decoded(token, issuer.secret, algorithms)
        return await self._by_key_set(token, issuer)

    async def _by_key_set(self, token: str, issuer: Issuer) -> Claims:
        key_id = _header(token).get("kid")
        if not isinstance(key_id, str):
            raise _invalid("the token names no key")
        found = await self._key_sets.key(issuer, key_id)
        if found is None:
            raise _invalid("the issuer has no such key")
        return _decoded(token, found.key, found.algorithms)


def issue(known: Jwt, user: User, client: str, now: float) -> tuple[str, str]:
    """Return a user's id token and access token; `client` is the name of the API key they came with."""
    common = {
        "iss": OWN_ISSUER,
        "sub": user.name,
        "iat": int(now),
        "auth_time": int(now),
        "exp": int(now) + known.ttl,
    }
    identity = {
        **common,
        "aud": client,
        "token_use": "id",
        "username": user.name,
        "jti": secrets.token_hex(16),
    }
    access = {
        **common,
        "client_id": client,
        "token_use": "access",
        "username": user.name,
        "scope": " ".join(user.scopes),
        "jti": secrets.token_hex(16),
    }
    return _encoded(identity, known.secret), _encoded(access, known.secret)


def _encoded(claims: dict[str, object], secret: str) -> str:
    return jwt.encode(claims, secret, algorithm=_OWN_ALGORITHM)


def _decoded(token: str, key: Any, algorithms: tuple[str, ...]) -> Claims:
    if not key:
        raise _invalid("the box has no secret")
    if len(token) > _MAX_LENGTH:
        raise _invalid("the token is too long")
    try:
        claims: Claims = jwt.decode(token, key, algorithms=list(algorithms), options=_SIGNATURE_ONLY)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise _invalid("the token is malformed or its signature is wrong") from error
    return claims


def _header(token: str) -> Mapping[str, object]:
    if len(token) > _MAX_LENGTH:
        raise _invalid("the token is too long")
    try:
        header: Mapping[str, object] = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise _invalid("the token is malformed") from error
    return header


def _check_audience(claims: Claims, wanted: tuple[str, ...]) -> None:
    """`client_id` counts only where there is no `aud`."""
    if not wanted:
        return
    audience = claims["aud"] if "aud" in claims else claims.get("client_id")
    given = audience if isinstance(audience, list) else [audience]
    if not any(each in wanted for each in given if isinstance(each, str)):
        raise _invalid("the audience is another one")


def _check_times(claims: Claims, now: float) -> None:
    if now >= _time(claims, "exp", None):
        raise _invalid("the token has expired")
    if now < _time(claims, "nbf", 0) or now < _time(claims, "iat", 0):
        raise _invalid("the token is not valid yet")


def _time(claims: Claims, name: str, default: float | None) -> float:
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _MAX_TIME:
        raise _invalid(f"{name} is missing or no time")
    return float(value)


def _scopes(claims: Claims) -> tuple[str, ...]:
    """What `scope` and `scp` say, each a text with spaces or a list."""
    found: list[str] = []
    for name in ("scope", "scp"):
        value = claims.get(name)
        if isinstance(value, str):
            found += value.split()
        elif isinstance(value, list):
            found += [each for each in value if isinstance(each, str)]
    return tuple(found)


def _invalid(why: str) -> UnauthorizedError:
    return UnauthorizedError(why, challenge=f'Bearer error="invalid_token", error_description="{why}"')


def _quotable(text: str) -> str:
    return "".join(each for each in text if " " <= each <= "~" and each not in '"\\')
