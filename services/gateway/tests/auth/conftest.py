from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

OPERATOR = ("ESBOPERATOR", "operator-secret-key")


@pytest.fixture
def signed() -> Callable[..., dict[str, str]]:
    """Headers that botocore signed a request to the gateway of these tests with."""

    def sign(method: str, path: str, body: bytes = b"", key: tuple[str, str] = OPERATOR) -> dict[str, str]:
        request = AWSRequest(method, f"http://box.local:8080{path}", {}, body)
        credentials = Credentials(*key)
        SigV4Auth(credentials, "lambda", "us-east-1").add_auth(request)
        return {name: value for name, value in request.headers.items() if name != "Content-Length"}

    return sign
