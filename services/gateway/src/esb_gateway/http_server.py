"""uvicorn's HTTP protocol with three differences.

Header names are kept as they were sent: ASGI wants them in lower case, but a REST API's event shows a
function what the client wrote (`event["headers"]["Content-Type"]`). And a response that comes in one piece
goes out in one write, its headers unchecked once more: every endpoint of the gateway checks what it sends.
That write waits for the next turn of the event loop, when those of all requests of this turn follow each
other: between two single writes the receiver falls asleep, and waking it costs more than the write.
Together this halves the time that goes to the server and the network.

And what follows a chunked body (trailers) is dropped: as headers it would say, behind the back of the proxy
that looked at the head, who the client is.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from esb_gateway.asgi import SPELLING
from esb_gateway.slow_clients import PatientProtocol

_BODILESS = frozenset({204, 304})


class GatewayProtocol(PatientProtocol):
    """One connection."""

    def on_message_begin(self) -> None:
        """Start a request."""
        super().on_message_begin()
        self._spelled: list[tuple[bytes, bytes]] = []
        self.scope["extensions"] = {SPELLING: self._spelled}  # type: ignore[dict-item] # ours is no dict

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; not one behind the body."""
        if self._in_body:
            return
        self._spelled.append((name, value))
        super().on_header(name, value)

    def shutdown(self) -> None:
        """Close, or close after the response; a response on its way to the next turn goes first."""
        self.loop.call_soon(super().shutdown)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.send = _Sender(cycle)  # type: ignore[method-assign] # uvicorn makes the cycle, so it can't be a subclass
        super()._start_asgi_task(cycle, app)


class _Sender:
    """`send` of one request: holds the start of a response until its body comes."""

    __slots__ = ("_cycle", "_plain", "_start")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._plain = cycle.send
        self._start: Any = None

    async def __call__(self, message: Any) -> None:
        """Send what can go out in one write so, and everything else as uvicorn does."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, None
        cycle = self._cycle
        if not message.get("more_body") and "send" in cycle.__dict__:
            # Each refers to the other: left so, every request would be garbage only the collector finds.
            del cycle.send
        whole = start is not None and not message.get("more_body") and not cycle.response_started
        if whole and not cycle.disconnected and not cycle.flow.write_paused:
            head = _head(cycle, start)
            if head is not None:
                _write_whole(cycle, head, message.get("body", b""))
                return
        if start is not None:
            await self._plain(start)
        await self._plain(message)


def _head(cycle: RequestResponseCycle, start: Any) -> list[bytes] | None:
    """Status line and headers; None when uvicorn has to look at how the body is framed."""
    status: int = start["status"]
    parts = [STATUS_LINE[status]]
    for name, value in cycle.default_headers:
        parts += (name, b": ", value, b"\r\n")
    framed = status in _BODILESS
    for name, value in start["headers"]:
        if name == b"content-length":
            framed = True
        elif name in {b"connection", b"transfer-encoding"}:
            return None
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
    return parts if framed else None


def _write_whole(cycle: RequestResponseCycle, head: list[bytes], body: bytes) -> None:
    """Write the response, in the next turn, and end the cycle."""
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    if body and cycle.scope["method"] != "HEAD":
        head.append(body)
    loop = asyncio.get_running_loop()
    loop.call_soon(_write, cycle.transport, b"".join(head))
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        loop.call_soon(cycle.transport.close)
    cycle.on_response()


def _write(transport: asyncio.Transport, data: bytes) -> None:
    """Write, unless the client has left since the last turn."""
    if not transport.is_closing():
        transport.write(data)
