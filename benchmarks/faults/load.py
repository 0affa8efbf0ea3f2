"""Steady load on a gateway: signed invocations, route calls and events, each at its own rate.

A lane is one connection that sends a call when its time has come and waits for the answer. Every call ends as
a `Call`; what it is worth is decided in `counts.py`, when it is known what was done to the box meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from itertools import count
from urllib.parse import urlsplit

from attrs import define, field, frozen
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CALL_SECONDS = 45.0
_PAUSE_WHEN_REFUSED = 0.05
REFUSED, BROKEN, SILENT = "connection refused", "connection broken", "no answer in time"


@frozen
class Target:
    """One kind of call: `make` gives path, headers and body for a number; `right` knows the right answer."""

    name: str
    make: Callable[[int], tuple[str, str, dict[str, str], bytes]]
    right: Callable[[int, int, bytes], bool]
    rate: float
    lanes: int


@frozen
class Call:
    """One call: when it was sent and when it ended, with an answer or with `trouble`."""

    target: str
    number: int
    sent: float
    ended: float
    status: int = 0
    right: bool = False
    error_type: str = ""
    body: bytes = b""
    trouble: str = ""


@define
class Load:
    """All lanes of all targets; `calls` grows while `run` runs; `first` is the first call's number."""

    url: str
    targets: tuple[Target, ...]
    calls: list[Call] = field(factory=list)
    stopping: bool = False
    first: int = 1
    _numbers: dict[str, count[int]] = field(factory=dict)

    async def run(self) -> None:
        """Send until `stopping`, then wait for what is in flight."""
        lanes = []
        for target in self.targets:
            self._numbers[target.name] = count(self.first)
            pause = target.lanes / target.rate
            lanes += [self._lane(target, pause, index / target.rate) for index in range(target.lanes)]
        await asyncio.gather(*lanes)

    async def _lane(self, target: Target, pause: float, offset: float) -> None:
        line = _Line(self.url)
        due = time.monotonic() + offset
        while not self.stopping:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due = max(due + pause, time.monotonic())
            number = next(self._numbers[target.name])
            call = await _call(line, target, number)
            self.calls.append(call)
            if call.trouble:
                await asyncio.sleep(_PAUSE_WHEN_REFUSED)
        line.close()


async def _call(line: _Line, target: Target, number: int) -> Call:
    method, path, headers, body = target.make(number)
    sent = time.monotonic()
    try:
        async with asyncio.timeout(CALL_SECONDS):
            status, got, answer = await line.exchange(method, path, headers, body)
    except TimeoutError:
        line.close()
        return Call(target.name, number, sent, time.monotonic(), trouble=SILENT)
    except ConnectionRefusedError:
        return Call(target.name, number, sent, time.monotonic(), trouble=REFUSED)
    except (OSError, EOFError, ValueError):
        line.close()
        return Call(target.name, number, sent, time.monotonic(), trouble=BROKEN)
    ended = time.monotonic()
    right = target.right(number, status, answer) and "x-amz-function-error" not in got
    error = "" if right else _error_type(got, answer)
    return Call(target.name, number, sent, ended, status, right, error, b"" if right else answer[:300])


def _error_type(headers: Mapping[str, str], body: bytes) -> str:
    if "x-amz-function-error" in headers:
        try:
            return f"function: {json.loads(body)['errorType']}"
        except (ValueError, KeyError, TypeError):
            return "function: ?"
    return headers.get("x-amzn-errortype", "")


class _Line:
    """One keep-alive connection, opened when it is needed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request, return status, headers and body of the answer."""
        if self._open is not None and self._open[0].at_eof():
            self.close()  # the gateway said that it takes no more here; nothing was sent
        if self._open is None:
            self._open = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._open
        head = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        head += [f"{name}: {value}" for name, value in headers.items() if name.lower() != "host"]
        head.append(f"Content-Length: {len(body)}\r\n\r\n")
        writer.write("\r\n".join(head).encode() + body)
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        got = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        answer = await reader.readexactly(int(got.get("content-length", 0)))
        if got.get("connection") == "close":
            self.close()
        return int(status.split()[1]), got, answer

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


@frozen
class Signer:
    """Signs calls of the Lambda API with an access key pair, as AWS SDKs do."""

    url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str = "us-east-1"

    def headers(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        """The headers with the signature among them."""
        request = AWSRequest(method, self.url + path, headers=dict(headers), data=body)
        credentials = Credentials(self.access_key_id, self.secret_access_key)
        SigV4Auth(credentials, "lambda", self.region).add_auth(request)
        return dict(request.headers.items())
