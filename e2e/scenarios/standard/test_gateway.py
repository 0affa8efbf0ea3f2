"""Gateway basics: routes, events, answers, errors."""

from __future__ import annotations

from typing import Any

import pytest
from scenario.box import Box
from scenario.client import Client


def test_health_says_what_is_served(client: Client) -> None:
    health = client.get("/health").json()
    assert health["status"] == "ok"
    assert health["generation"]


def test_a_rest_route_gets_the_event_of_a_rest_api(client: Client) -> None:
    answer = client.request(
        "PUT",
        "/api/echo?a=1&a=2&b=%C3%BC",
        b'{"x": 1}',
        {"Content-Type": "application/json", "X-Mine": "yes"},
    )
    assert (answer.status, answer.headers["X-E2e"]) == (200, "echo"), answer
    event = answer.json()["event"]
    assert (event["httpMethod"], event["path"], event["resource"]) == ("PUT", "/api/echo", "/api/echo")
    assert event["multiValueQueryStringParameters"] == {"a": ["1", "2"], "b": ["ü"]}
    assert (event["body"], event["isBase64Encoded"]) == ('{"x": 1}', False)
    assert event["headers"]["X-Mine"] == "yes"


def test_an_http_api_route_gets_payload_2(client: Client) -> None:
    event = client.get("/web/echo?a=1&a=2").json()["event"]
    assert (event["version"], event["rawPath"], event["rawQueryString"]) == ("2.0", "/web/echo", "a=1&a=2")
    assert event["requestContext"]["http"]["method"] == "GET"


@pytest.mark.parametrize(
    ("path", "resource", "parameters"),
    [
        ("/api/items/a%2Fb", "/api/items/{id}", {"id": "a/b"}),
        ("/api/files/a/b/c.txt", "/api/files/{proxy+}", {"proxy": "a/b/c.txt"}),
    ],
)
def test_parameters_of_a_path(client: Client, path: str, resource: str, parameters: dict[str, str]) -> None:
    event = client.get(path).json()["event"]
    assert (event["resource"], event["pathParameters"]) == (resource, parameters)


def test_bytes_that_are_no_text_come_as_base64(client: Client) -> None:
    answer = client.request("POST", "/api/echo", b"\x00\xff", {"Content-Type": "application/octet-stream"})
    event = answer.json()["event"]
    assert (event["isBase64Encoded"], event["body"]) == (True, "AP8=")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/nothing", 403), ("DELETE", "/api/items/1", 403), ("GET", "/web/nothing", 404)],
)
def test_what_is_no_route_is_refused(client: Client, method: str, path: str, status: int) -> None:
    assert client.request(method, path).status == status


def test_a_body_that_is_too_large_is_refused(client: Client) -> None:
    assert client.request("POST", "/api/echo", b"x" * (10 * 1024 * 1024 + 1)).status == 413


def test_the_operators_views_are_closed_to_others(client: Client, box: Box) -> None:
    assert client.get("/metrics/pools").status in (401, 403)
    route_key = box.credentials()["api_keys"][0]["value"]
    assert client.get("/metrics/pools", {"x-api-key": route_key}).status in (401, 403)


def test_the_functions_are_listed_as_on_aws(lambdas: Any) -> None:
    names = {function["FunctionName"] for page in pages(lambdas) for function in page["Functions"]}
    assert {"echo", "store", "caller", "record", "crash", "slow", "scale"} <= names


def pages(lambdas: Any) -> Any:
    return lambdas.get_paginator("list_functions").paginate()
