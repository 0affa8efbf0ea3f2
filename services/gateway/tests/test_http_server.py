import asyncio
from collections.abc import AsyncIterator

import pytest
from esb_gateway.asgi import SPELLING


async def app(scope, receive, send) -> None:
    """Answers in the way its path says."""
    start = {"type": "http.response.start", "status": 200, "headers": []}
    match scope["path"]:
        case "/whole":
            start["headers"] = [(b"content-length", b"2")]
            await send(start)
            await send({"type": "http.response.body", "body": b"ok"})
        case "/unframed":
            await send(start)
            await send({"type": "http.response.body", "body": b"ok"})
        case "/parts":
            await send(start)
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
            await send({"type": "http.response.body", "body": b"two"})
        case "/close":
            start["headers"] = [(b"content-length", b"2"), (b"connection", b"close")]
            await send(start)
            await send({"type": "http.response.body", "body": b"ok"})
        case "/empty":
            await send({**start, "status": 204})
            await send({"type": "http.response.body"})
        case "/names":
            body = b",".join(name for name, _ in scope["extensions"][SPELLING])
            await send({**start, "headers": [(b"content-length", b"%d" % len(body))]})
            await send({"type": "http.response.body", "body": body})
        case "/late-failure":
            await send(start)
            raise ZeroDivisionError


@pytest.fixture
async def ask(helpers) -> AsyncIterator[object]:
    async with helpers.serving(app) as server:
        reader, writer = await helpers.connected(server)

        async def request(line: str, *, until: bytes, headers: str = "") -> bytes:
            writer.write(f"{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
            return await asyncio.wait_for(reader.readuntil(until), 5)

        yield request
        writer.close()


async def test_a_whole_response_goes_out_with_its_headers(ask):
    data = await ask("GET /whole", until=b"ok")
    assert data.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    assert data.endswith(b"content-length: 2\r\n\r\nok")


async def test_a_head_request_gets_headers_only_and_the_connection_stays_usable(ask):
    assert (await ask("HEAD /whole", until=b"\r\n\r\n")).endswith(b"content-length: 2\r\n\r\n")
    assert (await ask("GET /whole", until=b"ok")).startswith(b"HTTP/1.1 200")


async def test_what_an_application_sends_in_parts_goes_out_in_chunks_and_all_else_with_its_length(ask):
    assert (await ask("GET /unframed", until=b"ok")).endswith(b"content-length: 2\r\n\r\nok")
    assert (await ask("GET /parts", until=b"0\r\n\r\n")).endswith(b"chunked\r\n\r\n6\r\nonetwo\r\n0\r\n\r\n")
    assert b"transfer-encoding" not in await ask("GET /empty", until=b"\r\n\r\n")


async def test_a_connection_is_closed_when_either_side_wants_it(ask):
    assert b"connection: close" in await ask("GET /whole", until=b"ok", headers="Connection: close\r\n")


async def test_a_response_may_close_the_connection(ask):
    assert b"connection: close" in await ask("GET /close", until=b"ok")


async def test_an_endpoint_that_fails_before_its_body_is_a_500(ask):
    data = await ask("GET /late-failure", until=b"\r\n\r\nInternal Server Error")
    assert data.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")


async def test_header_names_are_kept_as_they_were_sent(ask):
    data = await ask("GET /names", until=b"x-lower", headers="X-UPPER: 1\r\nx-lower: 2\r\n")
    assert data.endswith(b"Host,X-UPPER,x-lower")
