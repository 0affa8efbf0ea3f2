"""What the gateway POSTs to a worker's address, turned into a call for the worker's runtime."""

import binascii
import json
import re
import time
import uuid
from collections.abc import Mapping

from attrs import frozen

from esb_agent.drivers.function_error import error_json
from esb_agent.drivers.process.exchange import JSON_TYPE, UNHANDLED, Call, Exchange
from esb_agent.drivers.process.payloads import ending_json, timed_out
from esb_agent.http_connection import Peer, Request

PATH = b"/2015-03-31/functions/function/invocations"
# The gateway holds callers to Lambda's 6 MB; this bound only keeps one of them from filling the agent's
# memory.
MAX_EVENT_BYTES = 16 * 1024 * 1024
MAX_DEADLINE_DIGITS = 16
PRINTABLE = re.compile(rb"[ -~]+")
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class BadCallError(ValueError):
    """The gateway's request is not one; the text says why."""


@frozen
class CallDefaults:
    """What a call has when its request does not say: the function's ARN, and what one call may take."""

    arn: bytes
    timeout_seconds: float


class InvokeApi:
    """Serves one worker's callers."""

    def __init__(self, exchange: Exchange, defaults: CallDefaults) -> None:
        self._exchange = exchange
        self._defaults = defaults

    def on_request(self, peer: Peer, request: Request) -> None:
        """Take the call. 404, 405 and 400 for what is none."""
        if request.path != PATH:
            peer.answer(404, JSON_TYPE, error_json("NotFound", f"calls are POSTed to {PATH.decode()}"))
        elif request.method != b"POST":
            peer.answer(405, JSON_TYPE, error_json("MethodNotAllowed", "POST it"))
        else:
            self._take(peer, request, time.time())

    def _take(self, peer: Peer, request: Request, now: float) -> None:
        try:
            call = read_call(peer, request, self._defaults, now)
        except BadCallError as error:
            peer.answer(400, JSON_TYPE, error_json("InvalidRequest", str(error)))
            return
        if call.seconds > 0:
            self._exchange.invoke(call)
        else:
            # Too late before it came: nobody waits for it any more, and the worker is not to blame.
            peer.answer(200, UNHANDLED, ending_json(timed_out(0.0), call.request_id.decode(), now))

    def on_oversized(self, peer: Peer, request: Request) -> None:
        """Refuse: 413."""
        peer.answer(413, JSON_TYPE, error_json("RequestTooLarge", f"more than {MAX_EVENT_BYTES} bytes"))

    def on_gone(self, peer: Peer) -> None:
        """The call goes on; its answer will be thrown away."""


def read_call(peer: Peer, request: Request, defaults: CallDefaults, now: float) -> Call:
    """Headers of the gateway to headers of the Runtime API; `now` is the Unix time.

    Raises:
        BadCallError: a header does not hold what it should.
    """
    headers = request.headers
    request_id = headers.get(b"x-amzn-requestid") or str(uuid.uuid4()).encode()
    if not REQUEST_ID.fullmatch(request_id):
        raise BadCallError("X-Amzn-Requestid: expected at most 128 of A-Z a-z 0-9 . _ -")
    seconds = granted_seconds(headers.get(b"x-esb-deadline-ms"), defaults.timeout_seconds, now)
    lines = [
        b"Content-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: %b\r\n"
        b"Lambda-Runtime-Deadline-Ms: %d\r\nLambda-Runtime-Invoked-Function-Arn: %b\r\n"
        % (request_id, int((now + seconds) * 1000), headers.get(b"x-esb-function-arn") or defaults.arn)
    ]
    trace = headers.get(b"x-amzn-trace-id", b"")
    if trace:
        lines.append(b"Lambda-Runtime-Trace-Id: %b\r\n" % trace)
    lines += json_line(headers, b"x-amz-client-context", b"Lambda-Runtime-Client-Context")
    lines += json_line(headers, b"x-esb-cognito-identity", b"Lambda-Runtime-Cognito-Identity")
    tail = headers.get(b"x-esb-log-type", b"").lower() == b"tail"
    return Call(peer, request_id, b"".join(lines), request.body, seconds, trace=trace, tail=tail)


def granted_seconds(deadline_ms: bytes | None, timeout: float, now: float) -> float:
    """The function's timeout, or less when the caller gives up earlier."""
    if deadline_ms is None:
        return timeout
    if not deadline_ms.isdigit() or len(deadline_ms) > MAX_DEADLINE_DIGITS:
        raise BadCallError("X-Esb-Deadline-Ms: expected milliseconds since 1970")
    return max(0.0, min(timeout, int(deadline_ms) / 1000 - now))


def json_line(headers: Mapping[bytes, bytes], name: bytes, runtime_name: bytes) -> list[bytes]:
    """base64 of JSON as callers send it -> one header line of ASCII JSON as the runtime reads it.

    None when absent.
    """
    value = headers.get(name)
    if not value:
        return []
    try:
        text = binascii.a2b_base64(value, strict_mode=True)
        found = json.loads(text)
        if not PRINTABLE.fullmatch(text):
            text = json.dumps(found).encode()
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadCallError(f"{name.decode()}: expected base64 of JSON") from error
    return [b"%b: %b\r\n" % (runtime_name, text)]
