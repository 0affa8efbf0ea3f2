"""What one connection goes through when a request on it is refused, broken, early or alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from esb_gateway import slow_clients
from esb_gateway.http_messages import Request, Response

PATIENCE, KEPT = 0.5, 1.0
HOST = b" HTTP/1.1\r\nHost: x\r\n"
LAST = b"GET /last" + HOST + b"Connection: close\r\n\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
Ask = Callable[..., Awaitable[bytes]]


async def endpoint(request: Request) -> Response:
    match request.raw_path:
        case "/refuse":
            return Response(403, [], b"refused")
        case "/late":
            await asyncio.sleep(2 * PATIENCE)
        case "/later":
            await asyncio.sleep(1.5 * KEPT)
        case "/body":
            return Response(200, [], b"body of %d" % len(await request.body(10_000_000)))
    return Response(200, [], request.raw_path.encode())


async def nothing(_scope, _receive, _send) -> None:
    """The application that no request reaches."""


@pytest.fixture
async def ask(helpers, monkeypatch) -> AsyncIterator[Ask]:
    monkeypatch.setattr(slow_clients, "KEEP_ALIVE", KEPT)
    async with helpers.serving(nothing, endpoint=endpoint, client_timeout=PATIENCE) as server:
        yield partial(helpers.sent, server)


async def test_a_large_body_is_taken_and_dropped_when_its_request_was_refused_at_its_head(ask):
    head = b"POST /refuse" + HOST + b"Content-Length: 5000000\r\n\r\n"
    answer = await ask(head + bytes(200_000), bytes(4_800_000) + LAST)
    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.endswith(b"/last")


@pytest.mark.parametrize(
    "pieces",
    [
        (b"\r\n",),
        (b"GET /a" + HOST + b"\r\n", b"\r\n"),
        (b"POST /refuse" + HOST + b"Content-Length: 3\r\n\r\n", b"abc"),
    ],
)
async def test_no_connection_without_a_request_is_kept_for_ever(ask, pieces):
    assert b"408" not in await ask(*pieces)


async def test_a_call_may_take_longer_than_an_unused_connection_is_kept(ask):
    answer = await ask(b"GET /a" + HOST + b"\r\nGET /later" + HOST + b"\r\n")
    assert answer.endswith(b"/later")


async def test_who_waits_to_send_a_body_and_is_refused_has_to_connect_again(ask):
    head = b"POST /refuse" + HOST + b"Expect: 100-continue\r\nContent-Length: 500\r\n\r\n"
    answer = await ask(head, LAST)
    assert answer.endswith(b"connection: close\r\n\r\nrefused")


@pytest.mark.parametrize(("behind", "status"), [(b"GARBAGE\r\n\r\n", b"400"), (b"GET /par", b"408")])
async def test_a_refusal_is_not_taken_for_the_answer_to_the_request_before(ask, behind, status):
    answer = await ask(b"GET /late" + HOST + b"\r\n" + behind)
    first, _, second = answer.partition(b"/late")
    assert first.startswith(b"HTTP/1.1 200 ")
    assert second.startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: %d\r\n" % len(LAST), LAST),
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(LAST), LAST)),
    ],
)
@pytest.mark.parametrize("apart", [True, False])
async def test_the_body_of_a_request_for_another_protocol_is_its_body_and_no_request(
    ask, framing, body, apart
):
    head = b"POST /body" + HOST + H2C + framing + b"\r\n"
    answer = await ask(head, body + LAST) if apart else await ask(head + body + LAST)
    assert b"body of %d" % len(LAST) in answer
    assert answer.count(b"HTTP/1.1 ") == 2
    assert answer.endswith(b"/last")


@pytest.mark.parametrize("target", [b"/a", b"a:80"])
async def test_a_tunnel_is_refused_with_all_that_follows(ask, target):
    answer = await ask(b"CONNECT " + target + HOST + b"Content-Length: 90\r\n\r\n", LAST)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
