"""Who we are, said the way each registry wants it: not at all, with a password, or with a token a repository.

The first refused request tells the way; from then on requests carry what is needed at once. A token is asked
for once a scope, whatever the number of threads that need it.
"""

from __future__ import annotations

import base64
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from threading import Lock
from urllib.parse import urlencode, urlsplit

from attrs import define, evolve, field, frozen

from artifactctl.registry.challenges import Challenge, best_challenge
from artifactctl.registry.config import RegistryConfig
from artifactctl.registry.credentials import Credentials, credentials_for, read_docker_config
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.origins import may_be_plain
from artifactctl.registry.transport import Answer, Request, Transport

_CLIENT = "artifactctl"
_DEFAULT_LIFETIME = 60.0
# a token that is about to end may end on the way
_EARLY = 10.0

Scope = tuple[str, ...]


def pull_scope(name: str) -> str:
    """To read from a repository."""
    return f"repository:{name}:pull"


def push_scope(name: str) -> str:
    """To read from a repository and write to it."""
    return f"repository:{name}:pull,push"


@frozen
class _Token:
    text: str = field(repr=False)
    ends: float


@define(eq=False)
class _Account:
    """What is known about one registry; `guard` is held while more is found out."""

    guard: Lock = field(factory=Lock, repr=False)
    challenge: Challenge | None = None
    credentials: Credentials | None = None
    asked: bool = False
    tokens: dict[Scope, _Token] = field(factory=dict, repr=False)
    scopes: dict[Scope, Lock] = field(factory=lambda: defaultdict(Lock), repr=False)


class Authorizer:
    """The headers that requests to registries need; any thread may ask."""

    def __init__(self, config: RegistryConfig, transport: Transport) -> None:
        self._config = config
        self._transport = transport
        self._guard = Lock()
        self._accounts: dict[str, _Account] = {}

    def headers(self, registry: str, scope: Scope) -> Mapping[str, str]:
        """What to send along, as far as the registry has said by now.

        Raises:
            RegistryError: no token could be had, or a credential helper failed.
        """
        account = self._account(registry)
        if account.challenge is None:
            return {}
        if account.challenge.scheme == "basic":
            found = self._credentials(registry, account)
            return {"Authorization": f"Basic {_basic(found)}"} if found else {}
        return {"Authorization": f"Bearer {self._token(registry, account, scope)}"}

    def refused(self, registry: str, scope: Scope, answer: Answer, sent: Mapping[str, str]) -> bool:
        """Learn from a 401; whether the same request may do better now."""
        account = self._account(registry)
        challenge = best_challenge(answer.headers.get("WWW-Authenticate", ""))
        if challenge is None:
            return False
        with account.guard:
            is_new = account.challenge != challenge and _differs(account.challenge, challenge)
            account.challenge = account.challenge if not is_new else challenge
            token = account.tokens.get(scope)
            if token and sent.get("Authorization") == f"Bearer {token.text}":
                del account.tokens[scope]
        if challenge.scheme == "basic":
            return "Authorization" not in sent and self._credentials(registry, account) is not None
        return True

    def _account(self, registry: str) -> _Account:
        with self._guard:
            return self._accounts.setdefault(registry, _Account())

    def _credentials(self, registry: str, account: _Account) -> Credentials | None:
        with account.guard:
            if not account.asked:
                config = read_docker_config(self._config.docker_config)
                account.credentials = credentials_for(registry, config, self._config.environment)
                account.asked = True
            return account.credentials

    def _token(self, registry: str, account: _Account, scope: Scope) -> str:
        with account.guard:
            one_at_a_time = account.scopes[scope]
        with one_at_a_time:
            token = account.tokens.get(scope)
            if token is None or token.ends < time.monotonic():
                token = self._fetch(registry, account, scope)
                account.tokens[scope] = token
            return token.text

    def _fetch(self, registry: str, account: _Account, scope: Scope) -> _Token:
        challenge = account.challenge or Challenge("bearer")
        realm = self._checked_realm(registry, challenge)
        credentials = self._credentials(registry, account)
        base = Request(registry, "get a token", "GET", realm)
        service = challenge.parameters.get("service", "")
        if credentials and credentials.identity_token:
            request = _refresh(base, service, scope, credentials.identity_token)
        else:
            request = _plain(base, service, scope, credentials)
        answer = self._transport.send(request)
        if answer.status != 200:
            raise answer.error(f"docker login {registry}" if answer.status in (400, 401, 403) else "")
        return _parse(registry, answer)

    def _checked_realm(self, registry: str, challenge: Challenge) -> str:
        """Where tokens are to be had: nowhere that would show our secrets to the network."""
        realm = challenge.parameters.get("realm", "")
        parts = urlsplit(realm)
        is_plain = parts.scheme == "http" and may_be_plain(parts.netloc, self._config.insecure)
        if (parts.scheme != "https" and not is_plain) or not parts.netloc:
            hint = (
                f"plain HTTP is allowed with --insecure-registry {parts.hostname}"
                if parts.scheme == "http"
                else ""
            )
            raise RegistryError(registry, "get a token", f"it sends us to {realm!r}", hint=hint)
        return realm


def _differs(known: Challenge | None, challenge: Challenge) -> bool:
    """Whether the way is another one; scopes and reasons change with every request."""
    if known is None:
        return True
    facts = ("realm", "service")
    return known.scheme != challenge.scheme or any(
        known.parameters.get(name) != challenge.parameters.get(name) for name in facts
    )


def _plain(base: Request, service: str, scope: Scope, credentials: Credentials | None) -> Request:
    query = [("service", service)] * bool(service) + [("scope", one) for one in scope]
    headers = {"Authorization": f"Basic {_basic(credentials)}"} if credentials else {}
    joint = "&" if urlsplit(base.url).query else "?"
    return evolve(base, url=f"{base.url}{joint}{urlencode(query)}", headers=headers)


def _refresh(base: Request, service: str, scope: Scope, identity: str) -> Request:
    form = {
        "grant_type": "refresh_token",
        "service": service,
        "client_id": _CLIENT,
        "scope": " ".join(scope),
        "refresh_token": identity,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return evolve(base, method="POST", body=urlencode(form).encode(), headers=headers)


def _parse(registry: str, answer: Answer) -> _Token:
    try:
        document = json.loads(answer.data)
        text = document.get("token") or document.get("access_token")
        lifetime = float(document.get("expires_in") or _DEFAULT_LIFETIME)
    except (ValueError, TypeError, AttributeError, RecursionError):
        text = None
    if not isinstance(text, str) or not text.isprintable():
        # the answer isn't shown: it may hold a token in a place we don't know
        raise RegistryError(registry, "get a token", "the answer has none")
    return _Token(text, time.monotonic() + max(lifetime - _EARLY, lifetime / 2))


def _basic(credentials: Credentials | None) -> str:
    found = credentials or Credentials()
    return base64.b64encode(f"{found.username}:{found.password}".encode()).decode()
