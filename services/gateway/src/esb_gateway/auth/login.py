"""`POST /user/auth/v1`: a user's password, with an API key, for tokens of the box.

    x-api-key, {"AuthParameters": {"USERNAME": …, "PASSWORD": …}}
        ─▶ 200 {"AuthenticationResult": {"IdToken", "AccessToken", "TokenType", "ExpiresIn"}}

Without a good key 401. With one every answer of a login carries `PADMA_USER_AUTHORIZED: true`, the 401 of a
wrong password too. What is wrong with name or password is neither said nor to be seen from the time taken.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import orjson
from attrs import frozen
from starlette.types import Receive, Scope, Send

from esb_gateway.asgi import read_body, request_of, respond
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.credentials import ApiKey, Credentials, User
from esb_gateway.auth.passwords import PasswordHash, hash_password, parse_hash
from esb_gateway.auth.tokens import issue
from esb_gateway.auth.tries import Tries, network
from esb_gateway.errors import InvalidContentError, PayloadTooLargeError
from esb_gateway.front import Front
from esb_gateway.http_messages import ClientGoneError, Header
from esb_gateway.routes.client import TrustedProxies, client_of

MAX_BYTES = 16 * 1024
_MAX_PASSWORD = 1024
_AT_ONCE = 2
_MAX_WAITING = 32
_JSON: Header = (b"content-type", b"application/json")
_NO_STORE: Header = (b"cache-control", b"no-store")
_AUTHORIZED: Header = (b"PADMA_USER_AUTHORIZED", b"true")


@frozen
class _Reply:
    status: int
    body: object
    headers: tuple[Header, ...] = ()


class Passwords:
    """Checks passwords against the credentials in force; hashing happens once per change of these."""

    def __init__(self, store: CredentialStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seen: Credentials | None = None
        self._known: dict[str, tuple[User, PasswordHash]] = {}
        self._decoy: PasswordHash | None = None

    def check(self, name: str, password: str) -> User | None:
        """Return the user, or None; takes as long for a name that does not exist. Off the loop, please."""
        known, decoy = self._hashes()
        user, hashed = known.get(name, (None, decoy))
        matches = hashed.matches(password)
        return user if matches else None

    def _hashes(self) -> tuple[dict[str, tuple[User, PasswordHash]], PasswordHash]:
        with self._lock:
            current = self._store.current
            if self._decoy is None or current is not self._seen:
                self._decoy = self._decoy or hash_password("")
                self._known = {user.name: (user, _hash_of(user)) for user in current.users}
                self._seen = current
            return self._known, self._decoy


class LoginEndpoint:
    """ASGI endpoint of the login."""

    def __init__(
        self,
        store: CredentialStore,
        front: Front,
        api_key: Callable[[dict[bytes, bytes]], ApiKey | None],
        trusted: TrustedProxies,
    ) -> None:
        self._store = store
        self._front = front
        self._api_key = api_key
        self._trusted = trusted
        self._passwords = Passwords(store)
        self._clients = Tries(front.clock.monotonic, burst=20, seconds=3)
        self._users = Tries(front.clock.monotonic, burst=10, seconds=6)
        self._hashing = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one try and log it, without names: people type passwords there."""
        front = self._front
        started, request_id = front.clock.monotonic(), front.ids.request_id()
        client = client_of(request_of(scope, receive), self._trusted).source_ip
        try:
            reply = await self._answer(scope, receive, network(client))
        except ClientGoneError:
            return
        except Exception:  # the outermost point of a request: a bug costs this one only
            front.log.exception("bug", request_id=request_id)
            reply = _Reply(500, {"message": "Internal Server Error"})
        headers = [_JSON, _NO_STORE, (b"x-amzn-requestid", request_id.encode("ascii")), *reply.headers]
        await respond(send, reply.status, headers, orjson.dumps(reply.body))
        if front.access.on:
            fields = {"door": "login", "request_id": request_id, "client": client, "status": reply.status}
            front.access.write(fields, front.clock.monotonic() - started)

    async def _answer(self, scope: Scope, receive: Receive, client: str) -> _Reply:
        if scope["method"] != "POST":
            return _Reply(405, {"message": "Method Not Allowed"}, ((b"allow", b"POST"),))
        headers = dict(scope["headers"])
        wait = self._clients.wait(client)
        if wait is not None:
            return _too_many(wait)
        key = self._api_key(headers)
        if key is None:
            self._clients.take(client)
            return _Reply(401, {"message": "Unauthorized"})
        return await self._try(headers, receive, client, key)

    async def _try(self, headers: dict[bytes, bytes], receive: Receive, client: str, key: ApiKey) -> _Reply:
        try:
            name, password = _parameters(await read_body(headers, receive, MAX_BYTES))
        except PayloadTooLargeError:
            return _Reply(413, {"message": "Request Entity Too Large"}, (_AUTHORIZED,))
        except InvalidContentError as error:
            return _Reply(400, {"message": str(error)}, (_AUTHORIZED,))
        wait = self._users.wait(name)
        if wait is not None or self._waiting >= _MAX_WAITING:
            return _too_many(wait or 1)
        return await self._log_in(client, key, name, password)

    async def _log_in(self, client: str, key: ApiKey, name: str, password: str) -> _Reply:
        # Counted before the hash, or a hundred tries would be under way before the first one failed.
        self._clients.take(client)
        self._users.take(name)
        self._waiting += 1
        try:
            async with self._hashing:
                user = await asyncio.to_thread(self._passwords.check, name, password)
        finally:
            self._waiting -= 1
        if user is None:
            text = "Incorrect username or password."
            return _Reply(401, {"__type": "NotAuthorizedException", "message": text}, (_AUTHORIZED,))
        self._clients.give_back(client)
        self._users.give_back(name)
        known = self._store.current.jwt
        identity, access = issue(known, user, key.name, self._front.clock.now())
        result = {
            "IdToken": identity,
            "AccessToken": access,
            "TokenType": "Bearer",
            "ExpiresIn": known.ttl,
        }
        return _Reply(200, {"AuthenticationResult": result, "ChallengeParameters": {}}, (_AUTHORIZED,))


def _hash_of(user: User) -> PasswordHash:
    parsed = parse_hash(user.password_hash) if user.password_hash else None
    return parsed or hash_password(user.password)


def _parameters(body: bytes) -> tuple[str, str]:
    """User name and password of a request.

    Raises:
        InvalidContentError: they are not there.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidContentError("expected JSON") from error
    given = document.get("AuthParameters") if isinstance(document, dict) else None
    name, password = (
        (given.get("USERNAME"), given.get("PASSWORD")) if isinstance(given, dict) else (None, None)
    )
    if not isinstance(name, str) or not isinstance(password, str):
        raise InvalidContentError('expected {"AuthParameters": {"USERNAME": "…", "PASSWORD": "…"}}')
    if not name or not password or len(name) > _MAX_PASSWORD or len(password) > _MAX_PASSWORD:
        raise InvalidContentError(f"user name and password have 1 to {_MAX_PASSWORD} characters")
    return name, password


def _too_many(wait: int) -> _Reply:
    text = "Too many tries; try again later."
    return _Reply(429, {"message": text}, ((b"retry-after", b"%d" % wait),))
