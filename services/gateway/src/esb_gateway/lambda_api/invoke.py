"""`Invoke`: call a function and wait, hand it an event, or only try whether that would work.

request ─▶ invocation type, payload ─▶ invoker | event queue ─▶ reply
"""

from __future__ import annotations

import json

import orjson

from esb_gateway.async_invoke.event_queue import EventQueue, QueuedEvent
from esb_gateway.deployment import Deployment
from esb_gateway.errors import InvalidContentError, InvalidParameterError, UnknownFunctionError
from esb_gateway.front import Front
from esb_gateway.lambda_api.function_names import FunctionName
from esb_gateway.lambda_api.replies import JSON, LATEST, Reply
from esb_gateway.lambda_api.request import MAX_BODY_BYTES, ApiRequest
from esb_gateway.workers.invoker import Call, Target

MAX_EVENT_BYTES = 1024 * 1024
SYNC, EVENT, DRY_RUN = b"RequestResponse", b"Event", b"DryRun"
_LIMITS = {
    SYNC: (MAX_BODY_BYTES, "InvokeFunction operation"),
    EVENT: (MAX_EVENT_BYTES, "Event invocation type"),
    DRY_RUN: (MAX_BODY_BYTES, "InvokeFunction operation"),
}
_LOG_TYPES = frozenset({b"None", b"Tail"})


class Invoke:
    """The operation."""

    def __init__(self, front: Front, events: EventQueue) -> None:
        self._front = front
        self._events = events

    async def __call__(self, request: ApiRequest, named: FunctionName) -> Reply:
        """Do what the invocation type says."""
        target = target_of(self._front.served.current, named)
        kind = invocation_type(request, (SYNC, EVENT, DRY_RUN))
        call = ready_call(request, kind) or await read_call(request, kind)
        if kind == EVENT:
            now = self._front.clock.now()
            await self._events.accept(QueuedEvent(target.name, call, now, named.qualifier))
            return Reply(202, [], b"")
        if kind == DRY_RUN:
            return Reply(204, [], b"")
        answer = await self._front.invoker.invoke(target, call, qualifier=named.qualifier)
        reply = Reply(200, [JSON, LATEST], answer.body, error=answer.function_error)
        if answer.function_error is not None:
            reply.headers.append((b"x-amz-function-error", answer.function_error.encode("latin-1")))
        if answer.log_result is not None:
            reply.headers.append((b"x-amz-log-result", answer.log_result.encode("latin-1")))
        return reply


def target_of(deployment: Deployment, named: FunctionName) -> Target:
    """Return the function that is meant.

    Raises:
        UnknownFunctionError: the deployment has none of that name.
    """
    target = deployment.targets.get(named.name)
    if target is None:
        qualifier = f":{named.qualifier}" if named.qualifier else ""
        raise UnknownFunctionError(f"Function not found: {deployment.arn_of(named.name)}{qualifier}")
    return target


def invocation_type(request: ApiRequest, known: tuple[bytes, ...]) -> bytes:
    """Return how the function is to be called; RequestResponse where nothing is said."""
    kind = request.http.fields.get(b"x-amz-invocation-type", SYNC)
    if kind not in known:
        names = ", ".join(one.decode("ascii") for one in known)
        raise InvalidParameterError(f"Value '{_shown(kind)}' at 'invocationType' is none of {names}.")
    return kind


def ready_call(request: ApiRequest, kind: bytes) -> Call | None:
    """Return what `read_call` does, if the payload is here and not too long."""
    body = request.http.whole()
    if body is None or len(body) > _LIMITS[kind][0]:
        return None
    return _call(request, body, tail=_wants_tail(request, kind))


async def read_call(request: ApiRequest, kind: bytes) -> Call:
    """Return the call that a request asks for; no payload is an empty object, as on AWS.

    Raises:
        PayloadTooLargeError: longer than this kind of invocation may be.
        InvalidContentError: the payload is not JSON.
        InvalidParameterError: an unknown log type.
    """
    tail = _wants_tail(request, kind)
    return _call(request, await request.body(*_LIMITS[kind]), tail=tail)


def _call(request: ApiRequest, body: bytes, *, tail: bool) -> Call:
    if body:
        check_json(body)
    return Call(request.request_id, request.trace, request.client_context, body or b"{}", tail)


def _wants_tail(request: ApiRequest, kind: bytes) -> bool:
    log_type = request.http.fields.get(b"x-amz-log-type", b"None")
    if log_type not in _LOG_TYPES:
        raise InvalidParameterError(f"Value '{_shown(log_type)}' at 'logType' is none of None, Tail.")
    return log_type == b"Tail" and kind == SYNC


def _shown(value: bytes) -> str:
    return value[:64].decode("latin-1")


def check_json(body: bytes) -> None:
    """Raise InvalidContentError unless the payload is JSON."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        _check_json_slowly(body)


def _check_json_slowly(body: bytes) -> None:
    """Lone surrogates and huge numbers are JSON too, though orjson takes neither, nor `int` the hugest."""
    try:
        json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_int=len)
    except (ValueError, RecursionError) as error:
        raise InvalidContentError(f"Could not parse request body into json: {error}") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
