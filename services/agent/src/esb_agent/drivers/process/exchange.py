"""Where a call meets its worker: the gateway's request waits here until the runtime has answered it.

    gateway ─invoke▶ Exchange ─next▶ runtime ─respond or fail▶ Exchange ─answer▶ gateway

One call at a time. No process, socket or clock is known here: peers are answered, times come in, endings
are told from outside.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from esb_agent.drivers.function_error import error_json
from esb_agent.drivers.process.payloads import Ending, ending_json
from esb_agent.http_connection import Peer

JSON_TYPE = b"Content-Type: application/json\r\n"
UNHANDLED = JSON_TYPE + b"X-Amz-Function-Error: Unhandled\r\n"
OK_BODY = b'{"status":"OK"}\n'


class Call:
    """One invocation: `headers` are complete lines for the runtime, `seconds` what it may take.

    `trace` is the trace header as it came; `tail` asks for the end of what the call logs.
    """

    __slots__ = ("body", "headers", "peer", "request_id", "seconds", "started", "tail", "trace")

    def __init__(
        self,
        peer: Peer,
        request_id: bytes,
        headers: bytes,
        body: bytes,
        seconds: float,
        *,
        trace: bytes = b"",
        tail: bool = False,
    ) -> None:
        self.peer = peer
        self.request_id = request_id
        self.headers = headers
        self.body = body
        self.seconds = seconds
        self.trace = trace
        self.tail = tail
        self.started = False


class Recorder(Protocol):
    """Who keeps the record of calls."""

    def started(self, call: Call) -> None:
        """The runtime is about to be given the call."""

    def finished(self, ending: Ending | None) -> bytes:
        """The call started last is about to be answered; `ending` when the worker is over, too.

        Returns header lines for the answer.
        """


class Exchange:
    """One worker's: who waits for what.

    The three callbacks tell the worker's keeper what only it can act on.
    """

    def __init__(
        self,
        *,
        on_ready: Callable[[], None],
        on_init_error: Callable[[bytes], None],
        on_timeout: Callable[[float], None],
        record: Recorder,
    ) -> None:
        self._on_ready = on_ready
        self._on_init_error = on_init_error
        self._on_timeout = on_timeout
        self._record = record
        self._polling: Peer | None = None
        self._call: Call | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ending: Ending | None = None
        self._idle: list[asyncio.Future[None]] = []
        self.initialised = False
        self.paused = False
        self.invocations = 0
        self.errors = 0

    @property
    def busy(self) -> bool:
        """It holds a call."""
        return self._call is not None

    @property
    def ending(self) -> Ending | None:
        """How the worker ended, once it has."""
        return self._ending

    # The gateway's side.

    def invoke(self, call: Call) -> None:
        """Take a call, or say why not: 409 busy, paused or not ready.

        410 it has ended, and this call never reached it.
        """
        if self._ending:
            self._refuse_gone(call.peer, self._ending)
        elif self._call or self.paused or not self.initialised:
            what = "paused" if self.paused else "busy" if self._call else "starting"
            call.peer.answer(409, JSON_TYPE, error_json("Worker.Unavailable", f"the worker is {what}"))
        else:
            self._call = call
            self._timer = asyncio.get_running_loop().call_later(call.seconds, self._time_out)
            if self._polling:
                self._hand_over()

    def end(self, ending: Ending, now: float) -> None:
        """The worker has ended, or is about to be killed.

        What the runtime was working on is answered as a function error; a call that was not handed over yet
        is refused as any later one is. `now` is the Unix time. Only the first end counts.
        """
        if self._ending:
            return
        self._ending = ending
        call = self._take_call()
        if call and call.started:
            self.errors += 1
            gone = b"X-Esb-Worker-Gone: %b\r\n" % ending.kind.encode()
            headers = UNHANDLED + gone + self._record.finished(ending)
            call.peer.answer(200, headers, ending_json(ending, call.request_id.decode(), now))
        elif call:
            self._refuse_gone(call.peer, ending)

    def _refuse_gone(self, peer: Peer, ending: Ending) -> None:
        gone = b"X-Esb-Worker-Gone: %b\r\n" % ending.kind.encode()
        peer.answer(
            410, JSON_TYPE + gone, error_json("Worker.Gone", f"the worker has ended: {ending.reason}")
        )

    def _take_call(self) -> Call | None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        call, self._call = self._call, None
        for waiting in self._idle:
            if not waiting.done():
                waiting.set_result(None)
        self._idle.clear()
        return call

    async def idle(self) -> None:
        """Return when it holds no call."""
        if self._call:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiting)
            await waiting

    def _time_out(self) -> None:
        if self._call:
            self._on_timeout(self._call.seconds)

    # The runtime's side.

    def poll(self, peer: Peer) -> None:
        """The runtime asks for its next call.

        Asking while it owes an answer, or while another asks, is refused with 403.
        """
        if self._ending or self._polling or (self._call and self._call.started):
            peer.answer(
                403,
                JSON_TYPE,
                error_json("InvalidStateTransition", "this runtime may not ask for a call now"),
            )
            return
        self._polling = peer
        if self._call:
            self._hand_over()
        elif not self.initialised:
            self.initialised = True
            self._on_ready()

    def _hand_over(self) -> None:
        call, peer = self._call, self._polling
        if call and peer:
            self._polling = None
            self._record.started(call)
            call.started = True
            self.invocations += 1
            peer.answer(200, call.headers, call.body)

    def respond(self, peer: Peer, request_id: bytes, content_type: bytes, body: bytes) -> None:
        """The runtime gives the function's result."""
        self._finish(peer, request_id, b"Content-Type: %b\r\n" % content_type, body, 202)

    def fail(self, peer: Peer, request_id: bytes, body: bytes, status: int = 202) -> None:
        """The runtime gives the function's error; `status` is what it is told."""
        if self._finish(peer, request_id, UNHANDLED, body, status):
            self.errors += 1

    def _finish(self, peer: Peer, request_id: bytes, headers: bytes, body: bytes, status: int) -> bool:
        if not self._call or not self._call.started or self._call.request_id != request_id:
            peer.answer(400, JSON_TYPE, error_json("InvalidRequestID", "there is no such call, or no longer"))
            return False
        call = self._take_call()
        if call:
            # The caller first: it has waited longest.
            call.peer.answer(200, headers + self._record.finished(None), body)
        peer.answer(status, JSON_TYPE, OK_BODY)
        return True

    def init_error(self, peer: Peer, body: bytes) -> None:
        """The runtime could not initialise the function; it is going to exit."""
        if self.initialised or self._ending:
            peer.answer(403, JSON_TYPE, error_json("InvalidStateTransition", "initialisation is over"))
            return
        peer.answer(202, JSON_TYPE, OK_BODY)
        self._on_init_error(body)

    def dropped(self, peer: Peer) -> None:
        """A runtime connection closed; if it was waiting for a call there, it has to ask again."""
        if self._polling is peer:
            self._polling = None
