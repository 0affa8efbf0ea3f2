"""A connection that bounds what its client may take: time for a request, room for its headers, time to read.

What stands between and behind the chunks of a body has the room of a head too.

A head has to be complete within the client timeout; in every such period some more of a body has to arrive,
and some more of a response to be taken. So a client that stalls is let go, one with a slow line is not.
Requests that arrive in one piece, nearly all, cost no timer.
"""

from __future__ import annotations

from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

CLIENT_TIMEOUT = 60.0
HEAD_LIMIT = 64 * 1024
_LEAST_PROGRESS = 16 * 1024  # bytes of a body in one period
_BAD, _TIMED_OUT, _HEAD_TOO_LARGE = (
    b"400 Bad Request",
    b"408 Request Timeout",
    b"431 Request Header Fields Too Large",
)


class HeadTooLargeError(Exception):
    """The headers together are longer than `HEAD_LIMIT`."""


class TwoHostsError(Exception):
    """More than one Host: who stands before us may have gone by another one than we would."""


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with an end to its patience."""

    def __init__(self, *args: Any, client_timeout: float = CLIENT_TIMEOUT, **options: Any) -> None:
        super().__init__(*args, **options)
        self._patience = client_timeout
        self._reading: TimerHandle | None = None
        self._writing: TimerHandle | None = None
        self._in_head = True  # waiting for a head, or amid it
        self._in_body = False
        self._begun = False
        self._unbodied = 0  # bytes since a piece of a body
        self._received = 0  # bytes of this head, or of a body's present period
        self._unsent = 0
        self._refusal = _BAD
        self._refused = False

    def connection_made(self, transport: Any) -> None:
        """Start the client's time for its first request."""
        super().connection_made(transport)
        self._reading = self.loop.call_later(self._patience, self._look_at_request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._stop_reading()
        self._stop_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; look after the time only of a request that is incomplete after them."""
        self._received += len(data)
        self._unbodied += len(data)
        super().data_received(data)
        if self._in_body or (self._in_head and self._begun):
            framing = self._received if self._in_head else self._unbodied
            if framing > HEAD_LIMIT:
                self._refuse(_HEAD_TOO_LARGE)
            elif self._reading is None:
                self._reading = self.loop.call_later(self._patience, self._look_at_request)
        elif self._reading is not None:
            self._stop_reading()

    def on_message_begin(self) -> None:
        """Start a request."""
        self._begun = self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the request's work; its head has to be of a bearable size."""
        if self._received > HEAD_LIMIT and sum(len(n) + len(v) + 4 for n, v in self.headers) > HEAD_LIMIT:
            self._refusal = _HEAD_TOO_LARGE
            raise HeadTooLargeError
        if [name for name, _ in self.headers].count(b"host") > 1:
            raise TwoHostsError
        self._in_head, self._in_body, self._received, self._unbodied = False, True, 0, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._unbodied = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the reading of a request."""
        self._in_body = self._begun = False
        self._in_head, self._received = True, 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Start the client's time for reading what is waiting for it."""
        super().pause_writing()
        if self._writing is None:
            self._watch_writing()

    def resume_writing(self) -> None:
        """Stop the client's time for reading."""
        self._stop_writing()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request of HTTP, or too large a head, and close."""
        self._refuse(self._refusal)

    def _look_at_request(self) -> None:
        self._reading = None
        if self.flow.read_paused or (self._in_body and self._received >= _LEAST_PROGRESS):
            self._received = 0 if self._in_body else self._received
            self._reading = self.loop.call_later(self._patience, self._look_at_request)
        elif self._begun:
            self._refuse(_TIMED_OUT)
        else:
            self.transport.close()

    def _refuse(self, status: bytes) -> None:
        """Answer for ourselves and close; a client that has a part of its answer is just cut off.

        In the next turn: a response before this one may wait for it too.
        """
        if self._refused:
            return
        self._refused, answer = True, b""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            text = status.partition(b" ")[2]
            head = (
                b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            )
            answer = head % (status, len(text)) + text
        self.loop.call_soon(self._end, answer)

    def _end(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            if answer:
                self.transport.write(answer)
            self.transport.close()

    def _watch_writing(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._writing = self.loop.call_later(self._patience, self._look_at_response)

    def _look_at_response(self) -> None:
        if self.transport.get_write_buffer_size() < self._unsent:
            self._watch_writing()
        else:
            self._writing = None
            self.transport.abort()

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
