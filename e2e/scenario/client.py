"""A client of routes, which shows whole answers when a test fails."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from email.message import Message
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs

Found = TypeVar("Found")
_CALL_SECONDS = 60
_POLL_SECONDS = 0.1


@attrs.frozen
class Answer:
    """An HTTP answer."""

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """The body as JSON; the failure shows it when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise AssertionError(f"not JSON: {self}") from None

    def __str__(self) -> str:
        return f"{self.status} {dict(self.headers.items())} {self.body[:2000]!r}"


@attrs.frozen
class Client:
    """Calls routes of the box at `url`."""

    url: str

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One call on a connection of its own."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_CALL_SECONDS)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET."""
        return self.request("GET", path, headers=headers)

    def post(self, path: str, value: object, headers: Mapping[str, str] | None = None) -> Answer:
        """POST of JSON."""
        json_type = {"Content-Type": "application/json"}
        return self.request("POST", path, json.dumps(value).encode(), {**json_type, **(headers or {})})


def until(look: Callable[[], Found], what: str, seconds: float = 30.0) -> Found:
    """Look until something is found that counts as true; the failure says what was seen last."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}; last seen: {found!r}"
        time.sleep(_POLL_SECONDS)
    return found
