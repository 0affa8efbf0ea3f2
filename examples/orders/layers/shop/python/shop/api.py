"""Requests and answers in API Gateway's shape, so that a function speaks of values and problems only."""

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from typing import Any

Event = dict[str, Any]
Answer = dict[str, Any]


class ProblemError(Exception):
    """The caller's mistake, with the status that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def answer(status: int, value: object = None) -> Answer:
    """A JSON answer; without a value, an empty one."""
    body = "" if value is None else json.dumps(value, default=_plain, ensure_ascii=False)
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": body}


def file_answer(data: bytes, content_type: str) -> Answer:
    """An answer with a file's bytes, base64 inside as API Gateway wants binary data."""
    return {
        "statusCode": 200,
        "headers": {"Content-Type": content_type},
        "body": base64.b64encode(data).decode(),
        "isBase64Encoded": True,
    }


def body_bytes(event: Event) -> bytes:
    """The request's body as it was sent."""
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


def body_json(event: Event) -> dict[str, Any]:
    """The request's body as a JSON object."""
    try:
        value = json.loads(body_bytes(event), parse_float=Decimal)
    except ValueError as error:
        raise ProblemError(400, f"the body is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ProblemError(400, "the body is no JSON object")
    return value


def query(event: Event, name: str) -> str | None:
    """A query parameter; None when it is not given."""
    return (event.get("queryStringParameters") or {}).get(name)


def header(event: Event, name: str, default: str) -> str:
    """A request header, whatever its case."""
    headers = {key.lower(): value for key, value in (event.get("headers") or {}).items()}
    return headers.get(name.lower(), default)


def route(handler: Callable[[Event], Answer]) -> Callable[[Event, object], Answer]:
    """Make a handler of a function that raises `ProblemError` where the caller is wrong."""

    @wraps(handler)
    def handle(event: Event, _context: object) -> Answer:
        try:
            return handler(event)
        except ProblemError as problem:
            return answer(problem.status, {"error": problem.message})

    return handle


def _plain(value: object) -> object:
    """DynamoDB's numbers are decimals, which JSON does not know."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
