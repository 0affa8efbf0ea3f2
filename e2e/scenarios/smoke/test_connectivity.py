"""One REST contract: what a function can reach from where it runs."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from scenario.client import Client


@pytest.fixture(params=["python"])
def call(request: pytest.FixtureRequest, client: Client) -> Any:
    """POST to the contract's route of a runtime; the answer's body."""

    def call(action: str, **more: object) -> dict[str, Any]:
        answer = client.post(f"/api/connectivity/{request.param}", {"action": action, **more})
        assert answer.status == 200, answer
        body = answer.json()
        assert (body.pop("action"), body.pop("runtime")) == (action, request.param)
        return body

    return call


def test_echo(call: Any) -> None:
    assert call("echo", message="grün ✓") == {"message": "grün ✓"}


def test_dynamodb_put(call: Any, dynamodb: Any) -> None:
    key = uuid.uuid4().hex
    assert call("dynamodb_put", id=key, value="kept") == {"item": {"id": key, "value": "kept"}}
    seen = dynamodb.get_item(TableName="connectivity", Key={"id": {"S": key}}, ConsistentRead=True)
    assert seen["Item"]["value"] == {"S": "kept"}


def test_s3_put(call: Any, s3: Any) -> None:
    key = uuid.uuid4().hex
    assert call("s3_put", key=key, body="kept")["body"] == "kept"
    assert s3.get_object(Bucket="connectivity", Key=key)["Body"].read() == b"kept"


def test_chain_invoke(call: Any) -> None:
    expected = {"target": {"function": "connectivity-target", "message": "passed on"}, "status": 200}
    assert call("chain_invoke", message="passed on") == expected


def test_an_unknown_action_is_refused_by_the_function(client: Client) -> None:
    answer = client.post("/api/connectivity/python", {"action": "nothing"})
    assert answer.status == 400
    assert "chain_invoke" in answer.json()["error"]
