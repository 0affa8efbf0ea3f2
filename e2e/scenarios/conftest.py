"""The box under test, its clients, and what not every box can do. Only `e2e/run_tests.py` runs this."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from scenario.box import Box, connect
from scenario.client import Client

_PREFIX = "ESB_E2E_"


def pytest_configure(config: pytest.Config) -> None:
    """The marker of tests that not every profile can have."""
    config.addinivalue_line("markers", "needs(capability): only for profiles that say so in test_matrix.yaml")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this profile says that its box doesn't have."""
    facts = _facts()
    has = set(facts["CAPABILITIES"].split(","))
    for marker in item.iter_markers("needs"):
        if missing := sorted(set(marker.args) - has):
            pytest.skip(f"{facts['PROFILE']} has no {', '.join(missing)}")


@pytest.fixture(scope="session")
def box() -> Box:
    return connect(_facts())


@pytest.fixture(scope="session")
def client(box: Box) -> Client:
    return Client(box.url)


@pytest.fixture(scope="session")
def aws(box: Box) -> Callable[..., Any]:
    """A function that makes boto3 clients with the operator's keys."""
    key = next(key for key in box.credentials()["access_keys"] if key["name"] == "operator")
    endpoints = {"lambda": box.url, "s3": box.facts["S3_URL"], "dynamodb": box.facts["DYNAMODB_URL"]}

    def make(service: str, **settings: object) -> Any:
        return boto3.client(
            service,
            endpoint_url=endpoints[service],
            region_name="us-east-1",
            aws_access_key_id=key["access_key_id"],
            aws_secret_access_key=key["secret_access_key"],
            config=Config(
                retries={"total_max_attempts": 1},
                max_pool_connections=40,
                s3={"addressing_style": "path"},
                **settings,
            ),
        )

    return make


@pytest.fixture(scope="session")
def lambdas(aws: Callable[..., Any]) -> Any:
    return aws("lambda")


@pytest.fixture(scope="session")
def dynamodb(aws: Callable[..., Any]) -> Any:
    return aws("dynamodb")


@pytest.fixture(scope="session")
def s3(aws: Callable[..., Any]) -> Any:
    return aws("s3")


@pytest.fixture(scope="session")
def invoke(lambdas: Any) -> Callable[..., Any]:
    """A function that invokes and gives the payload; a function error is a failure that shows it."""

    def invoke(name: str, /, **event: object) -> Any:
        answer = lambdas.invoke(FunctionName=name, Payload=json.dumps(event))
        said = json.load(answer["Payload"])
        assert "FunctionError" not in answer, f"{name}: {answer['FunctionError']}: {said}"
        return said

    return invoke


@pytest.fixture(scope="session")
def rows(dynamodb: Any) -> Callable[[str], list[dict[str, Any]]]:
    """A function that gives the rows that `record` wrote for a kind of call."""

    def rows(kind: str) -> list[dict[str, Any]]:
        found = dynamodb.query(
            TableName="records",
            IndexName="by-kind",
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": kind}},
        )
        return [{name: next(iter(value.values())) for name, value in row.items()} for row in found["Items"]]

    return rows


def _facts() -> dict[str, str]:
    facts = {
        name.removeprefix(_PREFIX): value for name, value in os.environ.items() if name.startswith(_PREFIX)
    }
    if "PROFILE" not in facts:
        pytest.exit("scenarios need a box: run them with e2e/run_tests.py", returncode=2)
    return facts
