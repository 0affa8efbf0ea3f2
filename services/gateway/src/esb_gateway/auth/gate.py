"""The gateway's doors, each with who may pass it.

Lambda API      a signature (SigV4), before the endpoint sees the request
function URLs   of AWS_IAM: a signature
routes          as each of them asks: an API key, a token, nothing
views           of the box: an admin key, or a signature by any key but the functions'
"""

from __future__ import annotations

import hmac

from artifact_contract.config_types import RouteAuth
from starlette.types import ASGIApp, Scope

from esb_gateway.asgi import no_more, request_of
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.credentials import FUNCTIONS, ApiKey
from esb_gateway.auth.errors import AuthError
from esb_gateway.auth.guarded_endpoint import GuardedEndpoint
from esb_gateway.auth.jwks import Fetch, KeySets
from esb_gateway.auth.signed_endpoint import SignedEndpoint
from esb_gateway.auth.sigv4 import EMPTY_HASH, Principal, SignedRequest, SigV4, body_hash
from esb_gateway.auth.tokens import Tokens
from esb_gateway.errors import ForbiddenError, UnauthorizedError
from esb_gateway.front import Front
from esb_gateway.http_messages import Endpoint, Request
from esb_gateway.routes.proxy_request import NOBODY, Caller


class Gate:
    """Says who calls, or raises what the door answers."""

    def __init__(
        self, store: CredentialStore, front: Front, *, region: str, sigv4: bool, fetch: Fetch | None = None
    ) -> None:
        self._store = store
        self._front = front
        self._sigv4 = SigV4(store, region)
        self._signed_only = sigv4
        self._tokens = Tokens(KeySets(front.clock.monotonic, front.log, fetch))

    def lambda_api(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint behind a check of signatures, or as it is when that is switched off."""
        return SignedEndpoint(endpoint, self._sigv4, self._front) if self._signed_only else endpoint

    def signature(self, request: Request, body: bytes) -> Principal:
        """Return who signed a request, whose body is here already: function URLs of AWS_IAM.

        Raises:
            AuthError: nobody, or not this request.
        """
        hashed = body_hash(body) if body else EMPTY_HASH
        signed = SignedRequest(request.method, request.raw_path, request.query, request.headers, hashed)
        return self._sigv4.verify(signed, self._front.clock.now())

    async def route(self, auth: RouteAuth, headers: dict[bytes, bytes]) -> Caller:
        """Return who calls a route that asks.

        Raises:
            UnauthorizedError: no token, or none that is good here.
            ForbiddenError: no API key of this box; or a token without the scopes.
        """
        if auth.type == "api_key":
            key = self.api_key(headers)
            if key is None:
                raise ForbiddenError("no API key of this box")
            return Caller(api_key=key.value, api_key_id=key.name)
        if auth.type == "jwt":
            token = _token(headers.get(b"authorization", b""))
            now = self._front.clock.now()
            verified = await self._tokens.verify(token, auth, self._store.current.jwt, now)
            return Caller(claims=verified.claims, scopes=verified.scopes)
        if auth.type == "none":
            return NOBODY
        if auth.type == "closed":
            raise ForbiddenError("the route is closed to everybody")
        raise ForbiddenError(f"the gateway knows no auth type {auth.type}")

    def api_key(self, headers: dict[bytes, bytes]) -> ApiKey | None:
        """Return the API key a request carries."""
        return _carried(self._store.current.api_keys, headers)

    def admin(self, scope: Scope, body: bytes = b"") -> None:
        """Let pass who may see and steer the box: what route clients and functions have is not enough.

        Raises:
            AuthError: nobody who runs this box.
        """
        headers = dict(scope["headers"])
        if b"x-api-key" in headers:
            if _carried(self._store.current.admin_keys, headers) is None:
                raise AuthError("The key is none of this box's admin keys.")
        elif self.signature(request_of(scope, no_more), body).name == FUNCTIONS:
            raise AuthError("The functions' key pair does not open the box's own views.")

    def guarded(self, endpoint: ASGIApp) -> ASGIApp:
        """Return one of the box's own views behind `admin`."""
        return GuardedEndpoint(endpoint, self.admin)


def _carried(keys: tuple[ApiKey, ...], headers: dict[bytes, bytes]) -> ApiKey | None:
    """The key of a request; all are compared, so that time tells nothing."""
    given, found = headers.get(b"x-api-key", b""), None
    for key in keys:
        if hmac.compare_digest(key.value.encode(), given):
            found = key
    return found


def _token(authorization: bytes) -> str:
    """The token of an Authorization header, with or without `Bearer`."""
    parts = authorization.decode("latin-1").split()
    if len(parts) == 2 and parts[0].lower() == "bearer":
        return parts[1]
    if len(parts) == 1 and parts[0].lower() != "bearer":
        return parts[0]
    raise UnauthorizedError("no token", challenge="Bearer")
