"""Answers as the Runtime Interface Emulator gave them, seen on a real one."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from esb_gateway.workers.emulator import EmulatorChannel, open_channel, understood
from esb_gateway.workers.worker_channel import (
    WorkerAnswer,
    WorkerChannel,
    WorkerLostError,
    WorkerTimeoutError,
    WorkerUnreachedError,
)

PYTHON_ERROR = (
    b'{"errorMessage": "no", "errorType": "ValueError", "requestId": "1", "stackTrace": ["  File"]}'
)
NODE_ERROR = b'{"errorType":"TypeError","errorMessage":"no","trace":["TypeError: no"]}'
JAVA_ERROR = b'{"errorMessage":"no","errorType":"a.B","stackTrace":[],"cause":{"errorMessage":"x"}}'
EXITED = (
    b'{"errorType":"Runtime.ExitError","errorMessage":'
    b'"RequestId: 1 Error: Runtime exited with error: signal: killed"}'
)
NOT_IMPORTED = (
    b'{"errorMessage": "No module named \'x\'", "errorType": "Runtime.ImportModuleError", '
    b'"requestId": "", "stackTrace": []}'
)
TOO_LONG = (
    b'{"errorType":"Function.ResponseSizeTooLarge","errorMessage":'
    b'"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}'
)


def said(status, body):
    return WorkerAnswer(status, body, None, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"a": 1}',
        b'"Task timed out after 3.00 seconds"',
        b'"errorType"',
        b'["errorType", "errorMessage"]',
        b'{"errorType": "mine"}',
        b'{"errorType": "mine", "errorMessage": "mine", "statusCode": 200}',
        b'{"errorType" not JSON',
        b'{"errorMessage": "' + b"x" * 2_000_000 + b'", "errorType": "x"}',
    ],
)
def test_a_functions_result_is_taken_as_it_is(body):
    assert understood(said(200, body)) == said(200, body)


@pytest.mark.parametrize("body", [PYTHON_ERROR, NODE_ERROR, JAVA_ERROR])
def test_a_functions_error_is_one_and_its_worker_goes_on(body):
    assert understood(said(200, body)) == WorkerAnswer(200, body, "Unhandled", None)


@pytest.mark.parametrize("body", [EXITED, NOT_IMPORTED, TOO_LONG])
def test_a_runtime_that_ended_is_a_functions_error_and_the_workers_end(body):
    assert understood(said(502, body)) == WorkerAnswer(200, body, "Unhandled", "exit")


def test_a_timeout_is_one_though_it_is_answered_with_200():
    with pytest.raises(WorkerTimeoutError):
        understood(said(200, b"Task timed out after 3.00 seconds"))


@pytest.mark.parametrize(("status", "body"), [(400, b""), (500, b""), (502, b""), (502, b"{}"), (504, b"")])
def test_an_emulator_in_trouble_is_a_worker_lost(status, body):
    with pytest.raises(WorkerLostError, match=str(status)):
        understood(said(status, body))


@pytest.mark.parametrize(
    ("address", "kind"), [("unix:/run/w", WorkerChannel), ("http://10.0.0.2:8080", EmulatorChannel)]
)
def test_the_address_says_who_answers(address, kind):
    assert type(open_channel(address)) is kind


@asynccontextmanager
async def emulator(*replies: bytes):
    """A port that answers each request with the next reply, then hangs up."""
    connections = []

    async def serve(reader, writer):
        connections.append(writer)
        for body in replies:
            await reader.readexactly(len(HEAD) + 2)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield open_channel(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), connections
    finally:
        server.close()


HEAD = b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n"


async def test_an_address_is_never_connected_to_again(helpers):
    async with emulator(b'"fine"', PYTHON_ERROR) as (channel, connections):
        assert (await channel.call(HEAD, b"{}", 5)).body == b'"fine"'
        assert (await channel.call(HEAD, b"{}", 5)).function_error == "Unhandled"
        await helpers.eventually(lambda: not channel.alive)
        with pytest.raises(WorkerUnreachedError, match="hung up"):
            await channel.call(HEAD, b"{}", 5)
        assert len(connections) == 1
        channel.close()
