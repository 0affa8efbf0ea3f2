"""Whether a service that runs still answers: a question sent, its answer looked for turn by turn.

A process that hangs takes connections all the same, as the kernel does that for it; so the question is one
that only the service's own loop can answer. gRPC is spoken by hand, as much of it as one health check is.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from attrs import define, field

from esb_node.specs import DnsProbe, GrpcProbe, HttpProbe, Probe, SocketProbe

EVERY_SECONDS = 5.0
ANSWER_SECONDS = 10.0
FAILURES = 3
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4
_LONGEST = 1 << 20


def question(probe: Probe) -> tuple[int, int, str | tuple[str, int], bytes] | None:
    """Socket family, type, address and bytes of the question; None where there is nothing to ask."""
    match probe:
        case HttpProbe(url):
            parts = urlsplit(url)
            host, port = parts.hostname or "127.0.0.1", parts.port or 80
            request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
            return socket.AF_INET, socket.SOCK_STREAM, (host, port), request.encode("ascii")
        case GrpcProbe(path):
            return socket.AF_UNIX, socket.SOCK_STREAM, str(path), grpc_health_request()
        case DnsProbe(address, asked):
            return socket.AF_INET, socket.SOCK_DGRAM, (address, 53), asked
        case SocketProbe():
            return None


def answered(probe: Probe, received: bytes) -> bool:
    """Whether what came back is an answer of the service's own."""
    match probe:
        case HttpProbe():
            return received.startswith(b"HTTP/1.")
        case GrpcProbe():
            return _grpc_answered(received)
        case DnsProbe(_, asked):
            return received[:2] == asked[:2]
        case SocketProbe():
            return True


def grpc_health_request() -> bytes:
    """All a client has to send for `grpc.health.v1.Health/Check` of the whole server."""
    headers = b"".join(
        b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
        for name, value in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", b"/grpc.health.v1.Health/Check"),
            (b":authority", b"localhost"),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
        )
    )
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, headers)
        + _frame(_DATA, _END_STREAM, 1, bytes(5))
    )


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def _grpc_answered(received: bytes) -> bool:
    """Whether the call's own stream has headers or data; settings and pings come from a hung server too."""
    while len(received) >= 9:
        size, kind = int.from_bytes(received[:3], "big"), received[3]
        stream = int.from_bytes(received[5:9], "big") & 0x7FFFFFFF
        if stream == 1 and kind in {_DATA, _HEADERS}:
            return True
        received = received[9 + size :]
    return False


@define
class Liveness:
    """The checks of one service, in a row; `clock` counts seconds."""

    probe: Probe
    clock: Callable[[], float]
    every: float = EVERY_SECONDS
    answer_within: float = ANSWER_SECONDS
    limit: int = FAILURES
    failures: int = 0
    _socket: socket.socket | None = None
    _received: bytes = b""
    _since: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._since = self.clock()

    def hangs(self) -> bool:
        """Go on with the checks; True when so many in a row got no answer that the service counts as hung."""
        now = self.clock()
        if self._socket is None:
            if now - self._since >= self.every:
                self._since = now
                self._ask()
        elif self._has_answer():
            self.failures = 0
            self._end(now)
        elif now - self._since >= self.answer_within:
            self.failures += 1
            self._end(now)
        return self.failures >= self.limit

    def close(self) -> None:
        """Give up a check under way."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _end(self, now: float) -> None:
        self.close()
        self._received, self._since = b"", now

    def _ask(self) -> None:
        asked = question(self.probe)
        if asked is None:
            return
        family, kind, address, data = asked
        made = socket.socket(family, kind)
        made.setblocking(False)
        self._socket = made
        code = made.connect_ex(address)
        if code in {0, errno.EINPROGRESS}:
            self._send(made, data)

    def _send(self, made: socket.socket, data: bytes) -> None:
        """The question fits into the socket's buffer; a connection under way to this host takes no time."""
        try:
            made.sendall(data)
        except OSError:
            self._received = b""  # no answer will come: this check fails at its bound

    def _has_answer(self) -> bool:
        while self._socket is not None and len(self._received) < _LONGEST:
            try:
                part = self._socket.recv(65536)
            except OSError:
                break
            self._received += part
            if not part:
                break
        return answered(self.probe, self._received)
