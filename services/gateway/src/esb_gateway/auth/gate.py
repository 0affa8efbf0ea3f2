"""The gateway's doors, each with who may pass it.

Lambda API   a signature (SigV4), before the endpoint sees the request
admin views  an API key, or a signature
"""

from __future__ import annotations

import hmac

from starlette.types import ASGIApp, Scope

from esb_gateway.asgi import raw_path
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.errors import AuthError
from esb_gateway.auth.signed_endpoint import SignedEndpoint
from esb_gateway.auth.sigv4 import EMPTY_HASH, Principal, SignedRequest, SigV4, body_hash
from esb_gateway.front import Front


class Gate:
    """Says who calls, or raises an `AuthError`."""

    def __init__(self, store: CredentialStore, front: Front, *, region: str, sigv4: bool) -> None:
        self._front = front
        self._store = store
        self._sigv4 = SigV4(store, region)
        self._signed_only = sigv4

    def lambda_api(self, endpoint: ASGIApp) -> ASGIApp:
        """Return the endpoint behind a check of signatures, or as it is when that is switched off."""
        return SignedEndpoint(endpoint, self._sigv4, self._front) if self._signed_only else endpoint

    def admin(self, scope: Scope) -> None:
        """Let pass who has an API key, or signed: the views of who runs the box.

        Raises:
            AuthError: nobody of this box.
        """
        given = next((value for name, value in scope["headers"] if name == b"x-api-key"), None)
        if given is None:
            self.signature(scope, b"")
            return
        keys = self._store.current.api_keys
        if not sum(hmac.compare_digest(given, key.value.encode()) for key in keys):
            raise AuthError("The API key is none of this box.")

    def signature(self, scope: Scope, body: bytes) -> Principal:
        """Return who signed a request, whose body is here already: function URLs of AWS_IAM.

        Raises:
            AuthError: nobody, or not this request.
        """
        hashed = body_hash(body) if body else EMPTY_HASH
        request = SignedRequest(
            scope["method"], raw_path(scope), scope["query_string"], scope["headers"], hashed
        )
        return self._sigv4.verify(request, self._front.clock.now())
