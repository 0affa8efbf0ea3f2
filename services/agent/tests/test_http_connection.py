"""Requests in, answers out, over a transport in memory."""

import pytest
from esb_agent.http_connection import MAX_CLIENTS, MAX_HEADER_BYTES, Clients, Connection


class Transport:
    def __init__(self):
        self.sent = b""
        self.closed = False

    def write(self, data):
        assert not self.closed
        self.sent += bytes(data)

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    abort = close


class Recorder:
    """Keeps what it is asked; answers when told."""

    def __init__(self):
        self.requests = []
        self.oversized = []
        self.gone = 0

    def on_request(self, peer, request):
        self.requests.append(request)
        self.peer = peer

    def on_oversized(self, peer, request):
        self.oversized.append(request)
        self.peer = peer

    def on_gone(self, peer):
        self.gone += 1


@pytest.fixture
def handler():
    return Recorder()


@pytest.fixture
def open_connection(handler):
    def make(limit=1000, **kwargs):
        connection = Connection(Clients(handler, limit, **kwargs))
        transport = Transport()
        connection.connection_made(transport)
        return connection, transport

    return make


POST = b"POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nX-Thing: One\r\nContent-Length: 5\r\n\r\nhello"


def test_a_request_is_handed_on_whole(open_connection, handler):
    connection, _ = open_connection()
    connection.data_received(POST)
    (request,) = handler.requests
    assert (request.method, request.path, request.body) == (b"POST", b"/a/b?c=d", b"hello")
    assert request.headers[b"x-thing"] == b"One"


def test_a_request_in_single_bytes_is_the_same(open_connection, handler):
    connection, _ = open_connection()
    for byte in POST:
        connection.data_received(bytes([byte]))
    (request,) = handler.requests
    assert (request.path, request.headers[b"x-thing"], request.body) == (b"/a/b?c=d", b"One", b"hello")


def test_a_chunked_body_is_put_together(open_connection, handler):
    connection, _ = open_connection()
    connection.data_received(
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert handler.requests[0].body == b"abcde"


@pytest.mark.parametrize("body", [b"", b"small", b"x" * 100_000])
def test_an_answer_has_its_length_and_the_next_request_may_follow(open_connection, handler, body):
    connection, transport = open_connection()
    for _ in range(2):
        connection.data_received(POST)
        handler.peer.answer(200, b"X-A: b\r\n", body)
    one = b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert transport.sent == one * 2
    assert not transport.closed


def test_a_client_that_wants_the_connection_closed_gets_that(open_connection, handler):
    connection, transport = open_connection()
    connection.data_received(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    handler.peer.answer(200, b"", b"")
    assert transport.closed


def test_a_client_that_waits_for_leave_gets_it(open_connection):
    connection, transport = open_connection()
    connection.data_received(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert transport.sent == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_body_over_the_limit_is_read_away_and_told(open_connection, handler):
    connection, _ = open_connection(limit=4)
    connection.data_received(POST)
    handler.peer.answer(413, b"", b"")
    connection.data_received(b"POST /ok HTTP/1.1\r\nContent-Length: 4\r\n\r\nfour")
    assert [request.body for request in handler.oversized] == [b""]
    assert [request.body for request in handler.requests] == [b"four"]


def test_a_second_request_before_the_answer_ends_the_connection(open_connection, handler):
    connection, transport = open_connection()
    connection.data_received(POST + POST)
    assert len(handler.requests) == 1
    assert transport.closed


@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01 tls", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"]
)
def test_what_is_not_http_ends_the_connection(open_connection, handler, rubbish):
    connection, transport = open_connection()
    connection.data_received(rubbish)
    assert transport.closed
    assert handler.requests == []


def test_endless_headers_end_the_connection(open_connection, handler):
    connection, transport = open_connection()
    connection.data_received(b"GET / HTTP/1.1\r\n")
    for _ in range(40):
        if not transport.closed:
            connection.data_received(b"X-A: " + b"a" * 50_000 + b"\r\n")
    assert transport.closed
    assert handler.requests == []


def test_an_answer_to_a_client_that_left_goes_nowhere(open_connection, handler):
    connection, transport = open_connection()
    connection.data_received(POST)
    connection.connection_lost(None)
    handler.peer.answer(200, b"", b"late")
    assert transport.sent == b""
    assert handler.gone == 1


def test_whom_the_door_does_not_admit_is_not_heard(open_connection, handler):
    connection, transport = open_connection(admit=lambda _: False)
    assert transport.closed
    connection.data_received(POST)
    assert handler.requests == []


def test_a_bug_in_a_handler_is_not_taken_for_a_broken_request(handler):
    def broken(peer, request):
        raise KeyError("bug")

    handler.on_request = broken
    connection = Connection(Clients(handler, 10))
    connection.connection_made(Transport())
    with pytest.raises(KeyError, match="bug"):
        connection.data_received(b"GET / HTTP/1.1\r\n\r\n")


def test_a_request_with_too_large_headers_is_not_heard(open_connection, handler):
    connection, transport = open_connection()
    connection.data_received(b"GET / HTTP/1.1\r\nA: " + b"x" * MAX_HEADER_BYTES + b"\r\n\r\n")
    assert transport.closed
    assert not handler.requests


def test_one_client_too_many_is_cut_off_until_another_leaves(handler):
    clients = Clients(handler, 10)

    def connect():
        connection, transport = clients.connection(), Transport()
        connection.connection_made(transport)
        return connection, transport

    connected = [connect() for _ in range(MAX_CLIENTS)]
    assert not any(transport.closed for _, transport in connected)
    refused, transport = connect()
    assert transport.closed
    refused.connection_lost(None)
    assert connect()[1].closed
    connected[0][0].connection_lost(None)
    assert not connect()[1].closed


def test_all_clients_are_let_go_together(handler):
    clients = Clients(handler, 10)
    transports = [Transport(), Transport()]
    for transport in transports:
        clients.connection().connection_made(transport)
    clients.close()
    assert all(transport.closed for transport in transports)
