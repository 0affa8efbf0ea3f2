"""Any bytes in a request, over real sockets: never an error of the gateway's, never a hang."""

import asyncio
import json
import select
import socket
import threading
from functools import partial

import pytest
import uvicorn
from esb_gateway.http_server import GatewayProtocol
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

CORS = {"allow_origins": ["https://a.test"], "allow_methods": ["*"], "allow_credentials": True}
FUNCTIONS = {"api": {"image": "api:1", "function_url": {"cors": CORS, "invoke_mode": "RESPONSE_STREAM"}}}
ROUTES = [
    {"path": "/rest/{proxy+}", "method": "ANY", "function": "api", "cors": CORS},
    {
        "path": "/http/{a}/{proxy+}",
        "method": "ANY",
        "function": "api",
        "payload_version": "2.0",
        "cors": CORS,
    },
    {"path": "$default", "method": "ANY", "function": "api", "payload_version": "2.0"},
]
ANSWER_SECONDS = 10
PATIENCE_SECONDS = 0.05
FINE = b"GET /rest/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


class Server:
    """A gateway on a port of its own, in a thread."""

    def __init__(self, gateway, agent, helpers):
        self.events = []
        self.log = None

        async def handler(seen):
            self.events.append(seen.event)
            return helpers.answer({"statusCode": 200, "body": "fine"})

        agent.handlers["api"] = handler
        self._gateway = gateway
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),))
        self._thread.start()

    async def _serve(self) -> None:
        async with self._gateway(FUNCTIONS, ROUTES) as box:
            self.log = box.log
            protocol = partial(GatewayProtocol, endpoint=box.app.answer)
            config = uvicorn.Config(
                box.app, http=protocol, ws="none", lifespan="off", log_config=None, access_log=False
            )
            self._server = uvicorn.Server(config)
            await self._server.serve(sockets=[self._listener])

    def send(self, request: bytes) -> bytes:
        """Send a whole request that asks to close the connection; the whole answer."""
        with socket.create_connection(self.address, ANSWER_SECONDS) as connection:
            connection.sendall(request)
            return _read_to_end(connection)

    def poke(self, sent: bytes) -> bytes:
        """Send these bytes and hang up; what was answered to them by then."""
        with socket.create_connection(self.address, ANSWER_SECONDS) as connection:
            connection.sendall(sent)
            select.select([connection], [], [], PATIENCE_SECONDS)
            connection.shutdown(socket.SHUT_WR)
            return _read_to_end(connection)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._listener.close()


def _read_to_end(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass  # closed on what it would not read
    return b"".join(parts)


@pytest.fixture
def server(gateway, agent, helpers):
    running = Server(gateway, agent, helpers)
    while status(running.send(FINE)) != 200:
        pass
    yield running
    running.close()


def status(answer: bytes) -> int | None:
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else None


quiet = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
any_bytes = st.binary(max_size=24)
pieces = st.one_of(
    any_bytes,
    st.sampled_from(
        [
            *(b"/", b"//", b"%", b"%2F", b"%00", b"%zz", b"..", b"?", b"&", b"=", b"+", b";", b","),
            *(b"\xff", b"\xc3\xa9"),
        ]
    ),
)
starts = st.sampled_from(
    [b"/rest/", b"/http/x/", b"/", b"/function-urls/api/", b"/function-urls/", b"", b"*", b"http://x/rest/"]
)
targets = st.builds(lambda start, parts: start + b"".join(parts), starts, st.lists(pieces, max_size=6))
methods = st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS", b"DELETE", b"PATCH", b"PURGE", b"M-SEARCH"])
names = st.one_of(
    any_bytes,
    st.sampled_from(
        [
            *(b"host", b"cookie", b"origin", b"content-type", b"content-length", b"user-agent", b"x-a"),
            *(b"access-control-request-method", b"access-control-request-headers", b"x-amzn-trace-id"),
            *(b"x-forwarded-for", b"x-forwarded-proto", b"authorization", b"expect", b"transfer-encoding"),
        ]
    ),
)
known_values = [b"https://a.test", b"PUT", b"5", b"chunked", b"a=1; b=2", b""]
values = st.one_of(any_bytes, st.sampled_from(known_values))
ASKED_STRANGELY = [(b"origin", b"\xff"), (b"access-control-request-method", b"\xff")]
headers = st.lists(st.tuples(names, values), max_size=6)


def test_any_request_line_and_headers_are_answered_or_refused_and_never_a_failure(server):
    @quiet
    @given(methods, targets, headers, any_bytes)
    @example(b"GET", b"/rest/\xff", [], b"")
    @example(b"GET", b"/rest/%ff", [(b"host", b"\xff.lambda-url.")], b"")
    @example(b"OPTIONS", b"/http/x/y", ASKED_STRANGELY, b"")
    def check(method, target, given_headers, body):
        head = b"".join(b"%b: %b\r\n" % header for header in given_headers)
        answer = server.poke(b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, target, head, body))
        assert status(answer) is None or status(answer) < 500, answer

    check()
    assert status(server.send(FINE)) == 200
    assert "bug" not in server.log.events()


def test_any_bytes_at_all_are_answered_or_refused_and_never_a_failure(server):
    @quiet
    @given(st.binary(max_size=200))
    def check(sent):
        answer = server.poke(sent)
        assert status(answer) is None or status(answer) < 500, answer

    check()
    assert status(server.send(FINE)) == 200
    assert "bug" not in server.log.events()


def test_any_well_formed_request_reaches_the_function_whole(server):
    printable = st.binary(max_size=20).map(lambda value: bytes(set(value) - {*range(33), 127}) or b"x")

    @quiet
    @given(st.sampled_from([b"/rest/", b"/http/x/"]), printable, printable, any_bytes)
    def check(start, value, query, body):
        server.events.clear()
        head = b"POST %ba?%b HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-a: %b\r\ncontent-type: image/x\r\n"
        request = head + b"content-length: %d\r\n\r\n%b"
        safe = bytes(byte for byte in query if 33 <= byte < 127 and byte not in b"#?")
        assert status(server.send(request % (start, safe, value, len(body), body))) == 200
        (event,) = server.events
        try:
            text = value.decode()
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        sent = event["headers"]
        assert sent.get("X-a", sent.get("x-a")) == text
        assert json.dumps(event)

    check()


def test_a_head_request_has_the_headers_and_no_body(server):
    answer = server.send(b"HEAD /rest/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert b"content-length: 4\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_streaming_urls_answer_is_chunked(server):
    answer = server.send(b"GET /function-urls/api/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert b"transfer-encoding: chunked\r\n" in answer
    assert answer.endswith(b"4\r\nfine\r\n0\r\n\r\n")
