"""A connection that bounds what its client may take: time for a request, room for its headers, time to read.

What stands between and behind the chunks of a body has the room of a head too.

A head has to be complete within the client timeout; in every such period some more of a body has to arrive,
and some more of a response to be taken. So a client that stalls is let go, one with a slow line is not.
Requests that arrive in one piece, nearly all, cost no timer. A connection without a request is kept for
`KEEP_ALIVE` seconds, more or less: one timer looks after that, however many requests come.
"""

from __future__ import annotations

import asyncio
from asyncio import TimerHandle
from typing import cast

from esb_gateway.http_messages import Header

CLIENT_TIMEOUT = 60.0
KEEP_ALIVE = 75.0
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


class PatientProtocol(asyncio.Protocol):
    """The connection's timers and counters; who parses the requests keeps the flags."""

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, client_timeout: float) -> None:
        self.loop = loop
        self._patience = client_timeout
        self._reading: TimerHandle | None = None
        self._writing: TimerHandle | None = None
        self._keeping: TimerHandle | None = None
        self._idle_since: float | None = None  # no request here or under way since then
        self._in_head = True  # waiting for a head, or amid it
        self._in_body = False
        self._begun = False
        self._unbodied = 0  # bytes since a piece of a body
        self._received = 0  # bytes of this head, or of a body's present period
        self._unsent = 0
        self._refusal = _BAD
        self._refused = False
        self._read_paused = False
        self._write_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the client's time for its first request."""
        self.transport = cast(asyncio.Transport, transport)
        self._reading = self.loop.call_later(self._patience, self._look_at_request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        for timer in (self._reading, self._writing, self._keeping):
            if timer is not None:
                timer.cancel()
        self._reading = self._writing = self._keeping = None

    def pause_writing(self) -> None:
        """Start the client's time for reading what is waiting for it."""
        self._write_paused = True
        if self._writing is None:
            self._watch_writing()

    def resume_writing(self) -> None:
        """Stop the client's time for reading."""
        self._write_paused = False
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def check_head(self, headers: list[Header]) -> None:
        """Look at a head that is complete.

        Raises:
            HeadTooLargeError: it is longer than `HEAD_LIMIT`.
            TwoHostsError: it names two hosts.
        """
        if self._received > HEAD_LIMIT and sum(len(n) + len(v) + 4 for n, v in headers) > HEAD_LIMIT:
            self._refusal = _HEAD_TOO_LARGE
            raise HeadTooLargeError
        if [name for name, _ in headers].count(b"host") > 1:
            raise TwoHostsError

    def look_after(self) -> None:
        """After bytes: look after the time and the room only of a request that is incomplete now."""
        if self._in_body or (self._in_head and self._begun):
            framing = self._received if self._in_head else self._unbodied
            if framing > HEAD_LIMIT:
                self.refuse(_HEAD_TOO_LARGE)
            elif self._reading is None:
                self._reading = self.loop.call_later(self._patience, self._look_at_request)
        elif self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def keep_for_a_while(self) -> None:
        """After a response, with no other request here: start the time of an unused connection."""
        self._idle_since = self.loop.time()
        if self._keeping is None:
            self._keeping = self.loop.call_later(KEEP_ALIVE, self._look_at_use)

    def refuse(self, status: bytes | None = None) -> None:
        """Answer for ourselves and close.

        In the next turn: a response before this one may wait for it too.
        """
        if self._refused:
            return
        self._refused = True
        status = status or self._refusal
        text = status.partition(b" ")[2]
        head = b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.loop.call_soon(self._end, head % (status, len(text)) + text)

    def _look_at_request(self) -> None:
        self._reading = None
        if self._read_paused or (self._in_body and self._received >= _LEAST_PROGRESS):
            self._received = 0 if self._in_body else self._received
            self._reading = self.loop.call_later(self._patience, self._look_at_request)
        elif self._begun:
            self.refuse(_TIMED_OUT)
        else:
            self.transport.close()

    def _look_at_use(self) -> None:
        """Look again when the time of the last use would be over: so no request sets or stops a timer."""
        self._keeping = None
        if self._idle_since is None:
            return
        left = self._idle_since + KEEP_ALIVE - self.loop.time()
        if left > 0:
            self._keeping = self.loop.call_later(left, self._look_at_use)
        elif self.transport.get_write_buffer_size():
            self.transport.abort()  # to close would wait for the client to read, for ever
        else:
            self.transport.close()

    def _end(self, answer: bytes) -> None:
        if not self.transport.is_closing():
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
