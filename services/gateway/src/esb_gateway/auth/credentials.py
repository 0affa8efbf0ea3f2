"""The credentials of a box as values; `credentials_file` reads and makes them.

No secret has a default, and none is shown by `repr`.
"""

from __future__ import annotations

import secrets

from attrs import field, frozen

FUNCTIONS = "functions"
OPERATOR = "operator"
DEFAULT_TTL = 3600


@frozen
class AccessKey:
    """A key pair that signs requests; `session_token` only where the environment gives one."""

    name: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)


@frozen
class ApiKey:
    """A text that `x-api-key` carries: of a client of routes, or of who runs the box."""

    name: str
    value: str = field(repr=False)


@frozen
class Issuer:
    """Somebody else whose tokens routes may take: one of a file of keys, a URL of keys, a shared secret."""

    issuer: str
    jwks_file: str = ""
    jwks_url: str = ""
    secret: str = field(default="", repr=False)


@frozen
class Jwt:
    """The box's own tokens, `ttl` in seconds, and other issuers."""

    secret: str = field(repr=False)
    ttl: int = DEFAULT_TTL
    issuers: tuple[Issuer, ...] = ()


@frozen
class User:
    """Somebody who may log in: a password, or its scrypt hash; `scopes` are what access tokens get."""

    name: str
    password: str = field(default="", repr=False)
    password_hash: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ()


@frozen
class Credentials:
    """Everything a box knows of who may call it."""

    access_keys: tuple[AccessKey, ...]
    api_keys: tuple[ApiKey, ...]
    admin_keys: tuple[ApiKey, ...]
    jwt: Jwt
    users: tuple[User, ...]

    @property
    def functions_key(self) -> AccessKey:
        """The pair that workers get: the last one of that name, which is the environment's if it has one."""
        return next(key for key in reversed(self.access_keys) if key.name == FUNCTIONS)


def made_sections() -> dict[str, object]:
    """Return new credentials, section by section as they stand in the file."""
    return {
        "access_keys": [_made_access_key(OPERATOR), _made_access_key(FUNCTIONS)],
        "api_keys": [{"name": "default", "value": secrets.token_urlsafe(30)}],
        "admin_keys": [{"name": OPERATOR, "value": secrets.token_urlsafe(30)}],
        "jwt": {"secret": secrets.token_urlsafe(48), "ttl": DEFAULT_TTL},
        "users": [{"name": "admin", "password": secrets.token_urlsafe(18)}],
    }


def _made_access_key(name: str) -> dict[str, str]:
    return {
        "name": name,
        "access_key_id": f"ESB{secrets.token_hex(8).upper()}",
        "secret_access_key": secrets.token_urlsafe(30),
    }
