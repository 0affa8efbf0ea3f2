"""What AWS's Runtime Interface Emulator means by its answers: it runs in workers at `http://` addresses.

It has no header that tells a function's error from its result, as the agent's own sockets have:

    200 + the function's result
    200 + {"errorMessage", "errorType", ...}      the function failed; its runtime goes on
    200 + `Task timed out after 3.00 seconds`     the emulator ended the runtime
    502 + {"errorMessage", "errorType", ...}      the runtime ended, did not start, or said too much
    anything else                                 the emulator is in trouble

A function that returns an object with `errorMessage`, `errorType` and nothing but what a runtime adds to them
is taken for one that failed: the two are the same bytes.
"""

from __future__ import annotations

import re

import orjson
from attrs import evolve

from esb_gateway.workers.worker_channel import (
    WorkerAnswer,
    WorkerChannel,
    WorkerLostError,
    WorkerTimeoutError,
    WorkerUnreachedError,
)

_TIMED_OUT = re.compile(rb"Task timed out after \d+\.\d\d seconds")
_LONGEST_TIMED_OUT = 64
_LONGEST_ERROR = 1024 * 1024
_ERROR_FIELDS = frozenset({"errorMessage", "errorType"})
# What the runtimes of AWS add: Python, Ruby, Java; Node.
_MORE_FIELDS = frozenset({"requestId", "stackTrace", "cause", "trace"})
_FAILED = "Unhandled"
_ENDED = "exit"


class EmulatorChannel(WorkerChannel):
    """The data path to a container: its one connection, and never another.

    A container's address is given to the next one once it has ended: who connects again may reach another
    function's worker, and two calls at once end an emulator.
    """

    async def call(self, head: bytes, body: bytes, within: float) -> WorkerAnswer:
        """See `WorkerChannel`."""
        if self._connection is not None and self._connection.closed:
            raise WorkerUnreachedError(f"{self.address}: the worker hung up")
        return understood(await super().call(head, body, within))


def open_channel(address: str) -> WorkerChannel:
    """The channel to a worker: of the agent's own sockets, or of an emulator's port."""
    return EmulatorChannel(address) if address.startswith("http://") else WorkerChannel(address)


def understood(answer: WorkerAnswer) -> WorkerAnswer:
    """Return the answer with its function error and its worker's end said as the agent's workers say them.

    Raises:
        WorkerTimeoutError: the function took too long.
        WorkerLostError: nobody knows whether the function ran.
    """
    status, body = answer.status, answer.body
    if status == 200:
        if len(body) <= _LONGEST_TIMED_OUT and _TIMED_OUT.fullmatch(body):
            raise WorkerTimeoutError(f"the emulator says: {body.decode()}")
        return evolve(answer, function_error=_FAILED) if _is_error(body) else answer
    if status == 502 and _is_error(body):
        return evolve(answer, status=200, function_error=_FAILED, gone=_ENDED)
    raise WorkerLostError(f"the emulator answered {status}: {body[:200].decode('utf-8', 'replace')}")


def _is_error(body: bytes) -> bool:
    if not body.startswith(b"{") or len(body) > _LONGEST_ERROR or b'"errorType"' not in body:
        return False
    try:
        fields = frozenset(orjson.loads(body))
    except ValueError:
        return False
    return fields >= _ERROR_FIELDS and fields <= _ERROR_FIELDS | _MORE_FIELDS
