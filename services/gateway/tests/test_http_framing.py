"""Requests that two servers in a row could read differently, as bytes: no client library sends them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from esb_gateway.asgi import ClientGoneError, read_body
from esb_gateway.slow_clients import HEAD_LIMIT

PATIENCE = 2.0
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
SECOND = b"GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
Ask = Callable[..., Awaitable[bytes]]


async def tell(scope, receive, send) -> None:
    """Answers with the path and the headers it got once the body was read."""
    try:
        await read_body(dict(scope["headers"]), receive, 10_000_000)
    except ClientGoneError:
        return
    seen = [name.decode() for name, _ in (*scope["headers"], *scope["extensions"]["esb.header_spelling"])]
    body = json.dumps({"path": scope["path"], "headers": seen}).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def ask(helpers) -> AsyncIterator[Ask]:
    async with helpers.serving(tell, client_timeout=PATIENCE) as server:
        yield partial(helpers.sent, server)


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 3\r\nContent-Length: 3",
        b"Content-Length: 3\r\nContent-Length: 30",
        b"Content-Length: 3, 3",
        b"Content-Length: +3",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding : chunked",
        b"A: b\r\n x-api-key: folded",
        b"A: b\nx-api-key: after a bare line feed",
        b"A: b\rx-api-key: after a bare return",
        b"A: b\0",
        b"Host: y\r\nContent-Length: 3",
    ],
)
async def test_a_head_with_two_readings_is_400_and_nothing_behind_it_is_read(ask, head):
    body = b"0\r\n\r\n" if b"chunked" in head else b"abc"
    answer = await ask(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + body + SECOND)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"/second" not in answer


@pytest.mark.parametrize("chunks", [b"1\nx\n0\n\n", b"0x1\r\nx\r\n0\r\n\r\n", b"1;a=\nb\r\nx\r\n0\r\n\r\n"])
async def test_chunks_with_two_readings_are_400(ask, chunks):
    answer = await ask(CHUNKED + b"\r\n" + chunks + SECOND)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"/second" not in answer


async def test_what_follows_a_body_is_no_header(ask):
    trailers = b"1\r\nx\r\n0\r\nX-Api-Key: k\r\nX-Forwarded-For: 6.6.6.6\r\nHost: y\r\n\r\n"
    for pieces in ((CHUNKED + b"\r\n" + trailers,), (CHUNKED + b"\r\n", trailers[:9], trailers[9:])):
        told = json.loads((await ask(*pieces)).partition(b"\r\n\r\n")[2])
        names = ["Host", "Connection", "Transfer-Encoding"]
        assert told["headers"] == [*map(str.lower, names), *names]


@pytest.mark.parametrize("behind", [b"0\r\nX: ", b"1;ext="])
async def test_what_stands_around_chunks_has_the_room_of_a_head(ask, behind):
    piece = b"a" * (HEAD_LIMIT // 2)
    answer = await ask(CHUNKED + b"\r\n1\r\nx\r\n" + behind, piece, piece, piece)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_many_requests_and_small_chunks_are_not_taken_for_one_head(ask):
    many = (SECOND.replace(b"close", b"keep-alive") * 2000, SECOND)
    assert (await ask(*many)).count(b"HTTP/1.1 200 ") == 2001
    small = b"1;abc=def\r\nx\r\n" * 20_000
    assert (await ask(CHUNKED + b"\r\n" + small + b"0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_a_whole_url_as_target_is_its_path(ask):
    answer = await ask(b"GET http://other/metrics/pools HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["path"] == "/metrics/pools"


async def test_who_would_rather_speak_another_protocol_is_answered_in_this_one(ask):
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    asked = b"GET /first HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\n"
    posted = b"POST /first HTTP/1.1\r\nHost: x\r\n" + upgrade + b"Content-Length: 2\r\n\r\nhi"
    for request in (asked, posted):
        assert b'"path": "/first"' in await ask(request, SECOND)
