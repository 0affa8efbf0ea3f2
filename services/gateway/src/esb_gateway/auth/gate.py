"""The gateway's doors, each with who may pass it.

Lambda API   a signature (SigV4), before the endpoint sees the request
"""

from __future__ import annotations

from starlette.types import ASGIApp, Scope

from esb_gateway.asgi import raw_path
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.signed_endpoint import SignedEndpoint
from esb_gateway.auth.sigv4 import EMPTY_HASH, Principal, SignedRequest, SigV4, body_hash
from esb_gateway.front import Front


class Gate:
    """Says who calls, or raises an `AuthError`."""

    def __init__(self, store: CredentialStore, front: Front, *, region: str, sigv4: bool) -> None:
        self._front = front
        self._sigv4 = SigV4(store, region)
        self._signed_only = sigv4

    def lambda_api(self, endpoint: ASGIApp) -> ASGIApp:
        """Return the endpoint behind a check of signatures, or as it is when that is switched off."""
        return SignedEndpoint(endpoint, self._sigv4, self._front) if self._signed_only else endpoint

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
