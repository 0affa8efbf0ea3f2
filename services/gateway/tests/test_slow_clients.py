from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import uvicorn
from esb_gateway.asgi import ClientGoneError, read_body
from esb_gateway.slow_clients import HEAD_LIMIT

PATIENCE = 0.25
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class App:
    """Says how long a body was; `/large` sends more than a socket takes, `/late` waits first."""

    def __init__(self) -> None:
        self.gone = 0

    async def __call__(self, scope, receive, send) -> None:
        try:
            body = await read_body(dict(scope["headers"]), receive, 10_000_000)
        except ClientGoneError:
            self.gone += 1
            return
        if scope["path"] == "/late":
            await asyncio.sleep(3 * PATIENCE)
        answer = bytes(30_000_000) if scope["path"] == "/large" else b"%d" % len(body)
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
async def server(app, helpers) -> AsyncIterator[uvicorn.Server]:
    async with helpers.serving(app, client_timeout=PATIENCE) as server:
        yield server


@pytest.fixture
async def connect(server, helpers) -> AsyncIterator[Callable[[], Awaitable[Connection]]]:
    opened: list[Connection] = []

    async def connect() -> Connection:
        opened.append(await helpers.connected(server))
        return opened[-1]

    yield connect
    for _, writer in opened:
        writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.read(), 5)


async def test_a_connection_without_a_request_is_closed(connect):
    reader, _ = await connect()
    assert await rest(reader) == b""


@pytest.mark.parametrize(
    "begun", [b"G", b"GET / HTTP/1.1\r\nHost:", b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n"]
)
async def test_a_head_that_does_not_end_is_408(connect, begun):
    reader, writer = await connect()
    writer.write(begun)
    assert (await rest(reader)).startswith(b"HTTP/1.1 408 ")


async def test_a_head_that_comes_byte_by_byte_has_no_more_time_than_any(connect):
    reader, writer = await connect()
    answer = asyncio.create_task(rest(reader))
    for byte in b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A" * 40:
        if answer.done() or writer.is_closing():
            break
        writer.write(bytes([byte]))
        await asyncio.sleep(PATIENCE / 12)
    assert (await answer).startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_stalls_is_408_and_its_endpoint_ends(connect, app, helpers):
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n123")
    assert (await rest(reader)).startswith(b"HTTP/1.1 408 ")
    await helpers.eventually(lambda: app.gone == 1)


async def test_a_body_that_goes_on_slowly_is_read_to_its_end(connect):
    reader, writer = await connect()
    pieces, piece = 8, bytes(40_000)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
    writer.write(b"Content-Length: %d\r\n\r\n" % (pieces * len(piece)))
    for _ in range(pieces):
        writer.write(piece)
        await asyncio.sleep(PATIENCE / 3)
    assert (await rest(reader)).endswith(b"\r\n\r\n320000")


async def test_a_function_may_take_longer_than_a_client(connect):
    reader, writer = await connect()
    writer.write(b"GET /late HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await rest(reader)).startswith(b"HTTP/1.1 200 ")


async def test_a_request_behind_one_that_takes_its_time_waits_for_it(connect):
    reader, writer = await connect()
    writer.write(
        b"GET /late HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert (await rest(reader)).count(b"HTTP/1.1 200 ") == 2


async def test_a_client_that_does_not_read_its_response_is_cut_off(connect, server, helpers):
    reader, writer = await connect()
    reader._transport.pause_reading()
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    await helpers.eventually(lambda: server.server_state.connections)
    await helpers.eventually(lambda: not server.server_state.connections)


async def test_a_client_that_reads_slowly_gets_everything(connect):
    reader, writer = await connect()
    writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    got = 0
    while data := await reader.read(4_000_000):
        got += len(data)
        await asyncio.sleep(PATIENCE / 20)
    assert got > 30_000_000


@pytest.mark.parametrize("cut", [10, 40_000, HEAD_LIMIT + 10])
async def test_a_head_above_the_limit_is_431_however_it_arrives(connect, cut):
    reader, writer = await connect()
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: %b\r\n\r\n" % (b"a" * HEAD_LIMIT)
    writer.write(head[:cut])
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.write(head[cut:])
    assert (await rest(reader)).startswith(b"HTTP/1.1 431 ")


async def test_a_head_below_the_limit_is_taken_however_long_the_body(connect):
    reader, writer = await connect()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: %b\r\nContent-Length: 100000\r\n\r\n"
    writer.write(head % (b"a" * (HEAD_LIMIT - 1000)) + bytes(100_000))
    assert (await rest(reader)).endswith(b"\r\n\r\n100000")


@pytest.mark.parametrize(
    "sent", [b"\x00\x01\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"]
)
async def test_what_is_no_http_is_400(connect, sent):
    reader, writer = await connect()
    writer.write(sent)
    assert (await rest(reader)).startswith(b"HTTP/1.1 400 ")


async def test_a_body_with_broken_chunks_is_400_and_its_endpoint_ends(connect, app, helpers):
    reader, writer = await connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
    await asyncio.sleep(PATIENCE / 5)
    writer.write(b"zzz\r\n")
    assert (await rest(reader)).startswith(b"HTTP/1.1 400 ")
    await helpers.eventually(lambda: app.gone == 1)


async def test_what_is_asked_before_something_broken_is_answered_before_it(connect):
    reader, writer = await connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200 ")
    writer.write(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(3 * PATIENCE)
    writer.write(b"\x00\r\n\r\n")
    assert b"HTTP/1.1 400 " in await rest(reader)
