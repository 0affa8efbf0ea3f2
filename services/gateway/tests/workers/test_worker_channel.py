import asyncio
import select
import socket
from contextlib import asynccontextmanager, suppress

import pytest
from esb_gateway.workers.worker_channel import (
    MAX_ANSWER_BYTES,
    AnswerTooLargeError,
    WorkerAnswer,
    WorkerChannel,
    WorkerLostError,
    WorkerTimeoutError,
    WorkerUnreachedError,
)

HEAD = b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def worker(path, *replies: bytes, hang: bool = False, close: bool = False):
    """A worker that answers each request with the next of the replies."""
    connections, requests = [], []

    async def serve(reader, writer):
        connections.append(writer)
        for reply in replies:
            try:
                requests.append(await reader.readexactly(len(HEAD) + 2))
            except asyncio.IncompleteReadError:
                break
            writer.write(reply)
        if hang:
            await reader.read()
        if close or hang:
            writer.close()

    server = await asyncio.start_unix_server(serve, str(path))
    try:
        yield WorkerChannel(f"unix:{path}"), connections, requests
    finally:
        for connection in connections:
            connection.close()
        server.close()


async def test_calls_go_over_one_connection(tmp_path):
    async with worker(tmp_path / "w", OK, OK) as (channel, connections, requests):
        assert await channel.call(HEAD, b"{}", 5) == WorkerAnswer(200, b"ok", None, None)
        assert (await channel.call(HEAD, b"{}", 5)).body == b"ok"
        assert (len(connections), requests[0]) == (1, HEAD + b"{}")
        assert channel.alive
        channel.close()
        assert not channel.alive


async def test_what_the_headers_say_about_the_call_is_read(tmp_path):
    reply = (
        b"HTTP/1.1 200 OK\r\nX-Amz-Function-Error: Unhandled\r\nx-esb-worker-gone: timeout\r\n"
        b"X-Esb-Log-Result: TE9H\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    async with worker(tmp_path / "w", reply, OK) as (channel, _, _):
        said = WorkerAnswer(200, b"{}abc", "Unhandled", "timeout", "TE9H")
        assert await channel.call(HEAD, b"{}", 5) == said
        assert await channel.call(HEAD, b"{}", 5) == WorkerAnswer(200, b"ok", None, None)
        channel.close()


async def test_nobody_listening_means_not_reached(tmp_path):
    with pytest.raises(WorkerUnreachedError):
        await WorkerChannel(f"unix:{tmp_path}/nobody").call(HEAD, b"{}", 1)
    with pytest.raises(WorkerUnreachedError):
        await WorkerChannel("http://127.0.0.1:1").connect(1)


async def test_a_connection_closed_between_calls_is_opened_again(tmp_path, helpers):
    reply = OK.replace(b"Content-Length", b"Connection: close\r\nContent-Length")
    async with worker(tmp_path / "w", reply, close=True) as (channel, connections, _):
        await channel.call(HEAD, b"{}", 5)
        await helpers.eventually(lambda: not channel.alive)
        assert (await channel.call(HEAD, b"{}", 5)).body == b"ok"
        assert len(connections) == 2
        channel.close()


async def test_a_connection_that_breaks_during_the_call_loses_it(tmp_path):
    async with worker(tmp_path / "w", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", close=True) as (
        channel,
        _,
        _,
    ):
        with pytest.raises(WorkerLostError, match="end of file"):
            await channel.call(HEAD, b"{}", 5)


@asynccontextmanager
async def connected(path):
    """A channel, and the worker's end of its connection as a plain socket."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        channel = WorkerChannel(f"unix:{path}")
        await channel.connect(5)
        yield channel, listening.accept()[0]
        channel.close()


@pytest.mark.parametrize("size", [2, 3_000_000])
async def test_a_connection_that_closed_a_moment_before_the_call_means_not_reached(tmp_path, size):
    async with connected(tmp_path / "w") as (channel, end):
        end.close()  # nobody has told the channel yet
        with pytest.raises(WorkerUnreachedError):
            await channel.call(HEAD, b"x" * size, 5)


@pytest.mark.parametrize("size", [2, 3_000_000])
async def test_a_connection_closed_before_the_call_was_read_whole_means_not_reached(tmp_path, helpers, size):
    async with connected(tmp_path / "w") as (channel, end):
        call = asyncio.create_task(channel.call(HEAD, b"x" * size, 5))
        await helpers.eventually(lambda: select.select([end], [], [], 0)[0])
        end.recv(10)
        end.close()
        with pytest.raises(WorkerUnreachedError):
            await call


async def test_a_connection_closed_after_the_call_was_read_whole_loses_it(tmp_path):
    async with connected(tmp_path / "w") as (channel, end):
        call = asyncio.create_task(channel.call(HEAD, b"{}", 5))
        await asyncio.sleep(0)
        end.setblocking(False)
        assert await asyncio.get_running_loop().sock_recv(end, 1000) == HEAD + b"{}"
        end.close()
        with pytest.raises(WorkerLostError, match="end of file"):
            await call


async def test_an_answer_that_is_no_http_loses_the_call(tmp_path):
    async with worker(tmp_path / "w", b"what?\r\n\r\n") as (channel, _, _):
        with pytest.raises(WorkerLostError, match="not an HTTP answer"):
            await channel.call(HEAD, b"{}", 5)


async def test_a_call_without_answer_times_out_and_the_connection_goes(tmp_path):
    async with worker(tmp_path / "w", b"", hang=True) as (channel, _, _):
        with pytest.raises(WorkerTimeoutError):
            await channel.call(HEAD, b"{}", 0.01)
        assert not channel.alive


async def test_an_answer_beyond_the_limit_is_cut_off(tmp_path):
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_ANSWER_BYTES + 1) + b"x" * (
        MAX_ANSWER_BYTES + 1
    )
    async with worker(tmp_path / "w", reply) as (channel, _, _):
        with pytest.raises(AnswerTooLargeError):
            await channel.call(HEAD, b"{}", 5)
        assert not channel.alive


async def test_an_answer_of_the_largest_size_comes_whole(tmp_path):
    body = b"x" * MAX_ANSWER_BYTES
    async with worker(
        tmp_path / "w", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    ) as (
        channel,
        _,
        _,
    ):
        assert (await channel.call(HEAD, b"{}", 5)).body == body
        channel.close()


async def test_a_cancelled_call_takes_its_connection_with_it(tmp_path, helpers):
    async with worker(tmp_path / "w", b"", hang=True) as (channel, _, requests):
        call = asyncio.create_task(channel.call(HEAD, b"{}", 5))
        await helpers.eventually(lambda: requests)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert not channel.alive


async def test_a_large_request_arrives_whole():
    size, got, ended = 3_000_000, asyncio.get_running_loop().create_future(), asyncio.Event()

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        got.set_result(len(await reader.readexactly(size)))
        writer.write(OK)
        with suppress(ConnectionError):
            await reader.read()
            writer.close()
            await writer.wait_closed()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    channel = WorkerChannel(f"http://127.0.0.1:{port}")
    await channel.call(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size, 5)
    assert await got == size
    channel.close()
    await ended.wait()
    server.close()
