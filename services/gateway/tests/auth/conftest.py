from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


@pytest.fixture
def signed() -> Callable[..., dict[str, str]]:
    """Headers that botocore signed a request to the gateway of these tests with, as its operator."""

    def sign(
        method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> dict[str, str]:
        request = AWSRequest(method, f"http://box.local:8080{path}", headers or {}, body)
        credentials = Credentials("ESBOPERATOR", "operator-secret-key")
        SigV4Auth(credentials, "lambda", "us-east-1").add_auth(request)
        return {name: value for name, value in request.headers.items() if name != "Content-Length"}

    return sign
