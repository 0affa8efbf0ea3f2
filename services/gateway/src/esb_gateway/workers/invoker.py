"""One call to one function, whichever door it came through.

Call ─▶ pool.acquire ─▶ worker ─▶ Answer       (a worker that was never reached: again with another)
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import orjson
from attrs import define, field, frozen

from esb_gateway.clock import Clock
from esb_gateway.errors import CallError, InfrastructureError, ThrottledError
from esb_gateway.workers.agent import InitFailedError
from esb_gateway.workers.pool import Pool
from esb_gateway.workers.worker import Worker
from esb_gateway.workers.worker_channel import (
    MAX_ANSWER_BYTES,
    AnswerTooLargeError,
    WorkerAnswer,
    WorkerError,
    WorkerTimeoutError,
    WorkerUnreachedError,
)

_BUSY = 409
_ENDED = 410  # the worker had ended before the call reached its runtime
_GRACE_SECONDS = (
    2.0  # the agent ends a call at the function's timeout; the gateway only when even that did not come
)
# The way to the worker must not shorten the function's timeout, which the worker keeps itself.
_WAY_SECONDS = 0.5
# An agent that is told to stop ends its workers one after the other: before each further try, let the others'
# ends be seen.
_PAUSES = (0.0, 0.1, 0.4)
_TIMEOUT = "timeout"


# Calls and answers are made for every request: frozen, they would cost several times as much. Nobody changes
# them, so that a call may be hashed.
@define(unsafe_hash=True)
class Call:
    """One invocation: what the function gets and what identifies it; `log_tail` asks for its log's end."""

    request_id: str
    trace: str
    client_context: str
    body: bytes
    log_tail: bool = False


@define
class Answer:
    """What the function said.

    `function_error` is set when it failed, `timed_out` when it took too long, `log_result` (base64) when it
    was asked for and is known.
    """

    body: bytes
    function_error: str | None = None
    timed_out: bool = False
    log_result: str | None = None


@frozen
class Target:
    """A function of the served generation with its workers. `arn` has no qualifier."""

    name: str
    arn: str
    timeout: float
    pool: Pool
    head: str = field(init=False, repr=False, eq=False)

    @head.default
    def _common_head(self) -> str:
        """How the head of every request to its workers begins."""
        return (
            "POST /2015-03-31/functions/function/invocations HTTP/1.1\r\n"
            "Host: worker\r\n"
            "Content-Type: application/json\r\n"
            f"X-Esb-Function-Arn: {self.arn}"
        )


class Invoker:
    """Runs calls and keeps the counters."""

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._monotonic = clock.monotonic

    async def invoke(
        self, target: Target, call: Call, *, qualifier: str | None = None, patience: float | None = None
    ) -> Answer:
        """Run one call to its end; a function's own failure is an Answer, not an exception.

        Raises:
            CallError: ThrottledError, or InfrastructureError when nobody knows an answer.
        """
        stats, breaker = target.pool.stats, target.pool.breaker
        started = self._monotonic()
        stats.invocations += 1
        seen = -1
        try:
            seen = breaker.admit()
            answer = await self._run(target, call, qualifier, patience)
        except ThrottledError:
            stats.throttles += 1
            breaker.undecided(seen)
            raise
        except CallError:
            stats.failures += 1
            breaker.failed(seen)
            raise
        except BaseException:
            breaker.undecided(seen)
            raise
        if breaker.failures:
            breaker.succeeded()
        stats.observe(self._monotonic() - started)
        if answer.function_error is not None:
            stats.errors += 1
        return answer

    async def _run(self, target: Target, call: Call, qualifier: str | None, patience: float | None) -> Answer:
        """Try one worker after the other; each is given back in any case."""
        pool = target.pool
        for pause in _PAUSES:
            if pause:
                await asyncio.sleep(pause)
                pool.bury_hung_up()
            try:
                worker = pool.take() or await pool.acquire(patience=patience)
            except InitFailedError as error:
                return Answer(error.payload, "Unhandled")
            head = _request_head(target, call, qualifier, self._now())
            try:
                got = await worker.channel.call(head, call.body, target.timeout + _GRACE_SECONDS)
            except WorkerError as error:
                answer = self._without_answer(target, worker, call, error)
            except BaseException:
                pool.retire(worker, "the call was cancelled")  # its answer would belong to nobody
                raise
            else:
                answer = self._settle(pool, worker, got)
            if answer is not None:
                return answer
        raise InfrastructureError("three workers in a row could not be reached")

    def _without_answer(
        self, target: Target, worker: Worker, call: Call, error: WorkerError
    ) -> Answer | None:
        """What a try comes to whose worker gave no answer. None: it was never reached."""
        if isinstance(error, WorkerUnreachedError):
            target.pool.retire(worker, f"not reached: {error}")
            return None
        target.pool.retire(worker, str(error))
        if isinstance(error, WorkerTimeoutError):
            return self._timed_out(target, call)
        if isinstance(error, AnswerTooLargeError):
            return _too_large()
        raise InfrastructureError(str(error)) from error

    def _settle(self, pool: Pool, worker: Worker, got: WorkerAnswer) -> Answer | None:
        if got.status == _BUSY:
            pool.retire(worker, "it holds a call this gateway did not give it, or is paused")
            return None
        if got.status == _ENDED:
            pool.retire(worker, "it had ended before the call reached it")
            return None
        if got.gone is not None:
            pool.retire(worker, got.gone)
        else:
            pool.release(worker)
        if got.status != 200:
            raise InfrastructureError(f"the worker answered {got.status}")
        return Answer(got.body, got.function_error, got.gone == _TIMEOUT, got.log_result)

    def _timed_out(self, target: Target, call: Call) -> Answer:
        stamp = (
            datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        )
        text = f"{stamp} {call.request_id} Task timed out after {target.timeout:.2f} seconds"
        body = orjson.dumps({"errorType": "Sandbox.Timedout", "errorMessage": text})
        return Answer(body, "Unhandled", timed_out=True)


def _too_large() -> Answer:
    text = f"Response payload size exceeded maximum allowed payload size ({MAX_ANSWER_BYTES} bytes)."
    body = orjson.dumps({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": text})
    return Answer(body, "Unhandled")


def _request_head(target: Target, call: Call, qualifier: str | None, now: float) -> bytes:
    version = "" if qualifier is None else f":{qualifier}"
    deadline = int((now + target.timeout + _WAY_SECONDS) * 1000)
    log_type = "X-Esb-Log-Type: Tail\r\n" if call.log_tail else ""
    return (
        f"{target.head}{version}\r\n"
        f"X-Amzn-Requestid: {call.request_id}\r\n"
        f"X-Amzn-Trace-Id: {call.trace}\r\n"
        f"X-Amz-Client-Context: {call.client_context}\r\n"
        f"X-Esb-Deadline-Ms: {deadline}\r\n"
        f"{log_type}"
        f"Content-Length: {len(call.body)}\r\n\r\n"
    ).encode("latin-1")
