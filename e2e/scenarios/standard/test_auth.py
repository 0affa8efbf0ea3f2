"""Who may call: API keys, tokens of the box's log-in, signatures."""

from __future__ import annotations

import base64
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from scenario.box import Box
from scenario.client import Client


@pytest.fixture
def api_key(box: Box) -> str:
    return str(box.credentials()["api_keys"][0]["value"])


@pytest.fixture
def token(box: Box, client: Client, api_key: str) -> str:
    user = box.credentials()["users"][0]
    login = {"AuthParameters": {"USERNAME": user["name"], "PASSWORD": user["password"]}}
    answer = client.post("/user/auth/v1", login, {"x-api-key": api_key})
    assert answer.status == 200, answer
    return str(answer.json()["AuthenticationResult"]["IdToken"])


def test_a_route_with_a_key(client: Client, api_key: str) -> None:
    assert client.get("/api/keyed").status == 403
    assert client.get("/api/keyed", {"x-api-key": "wrong"}).status == 403
    answer = client.get("/api/keyed", {"x-api-key": api_key})
    assert answer.status == 200, answer
    assert answer.json()["event"]["requestContext"]["identity"]["apiKey"] == api_key


def test_a_route_with_a_token(client: Client, box: Box, token: str) -> None:
    assert client.get("/web/user").status == 401
    head, payload, signature = token.split(".")
    forged = base64.urlsafe_b64encode(base64.urlsafe_b64decode(payload + "==").replace(b"admin", b"other"))
    wrong = ".".join([head, forged.decode().rstrip("="), signature])
    assert client.get("/web/user", {"Authorization": f"Bearer {wrong}"}).status == 401
    answer = client.get("/web/user", {"Authorization": f"Bearer {token}"})
    assert answer.status == 200, answer
    claims = answer.json()["event"]["requestContext"]["authorizer"]["jwt"]["claims"]
    assert box.credentials()["users"][0]["name"] in claims.values()


def test_a_wrong_password_gives_no_token(client: Client, box: Box, api_key: str) -> None:
    login = {"AuthParameters": {"USERNAME": box.credentials()["users"][0]["name"], "PASSWORD": "wrong"}}
    assert client.post("/user/auth/v1", login, {"x-api-key": api_key}).status == 401


def test_an_invocation_without_a_good_signature_is_refused(client: Client, box: Box) -> None:
    path = "/2015-03-31/functions/echo/invocations"
    assert client.post(path, {}).status == 403
    key = box.credentials()["access_keys"][0]
    stranger: Any = boto3.client(
        "lambda",
        endpoint_url=box.url,
        region_name="us-east-1",
        aws_access_key_id=key["access_key_id"],
        aws_secret_access_key="not the secret",
    )
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        stranger.invoke(FunctionName="echo")
    stranger.close()
