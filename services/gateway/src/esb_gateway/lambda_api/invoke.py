"""`POST /2015-03-31/functions/{name}/invocations`: the Lambda Invoke API as boto3 and the aws CLI speak it.

    request ─▶ name, invocation type, client context, payload ─▶ invoker | event queue ─▶ response

Nobody is authenticated here: the gateway listens on loopback, and middleware before this endpoint may do
more.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qs, unquote

import orjson
from attrs import frozen
from starlette.types import Receive, Scope, Send

from esb_gateway.asgi import ClientGoneError, Header, raw_path, read_body, respond
from esb_gateway.async_invoke.event_queue import EventQueue, QueuedEvent
from esb_gateway.errors import (
    CallError,
    InfrastructureError,
    InvalidContentError,
    InvalidParameterError,
    PayloadTooLargeError,
    UnknownFunctionError,
    UnknownOperationError,
    lambda_error,
)
from esb_gateway.front import Front
from esb_gateway.lambda_api.function_names import FunctionName, parse_function_name, with_qualifier
from esb_gateway.tracing import bare_context, given_trace, parse_client_context
from esb_gateway.workers.invoker import Call, Target

PREFIX = "/2015-03-31/"
MAX_SYNC_BYTES = 6 * 1024 * 1024
MAX_EVENT_BYTES = 1024 * 1024
_FUNCTIONS = "/2015-03-31/functions/"
_INVOCATIONS = "/invocations"
_SYNC, _EVENT, _DRY_RUN = b"RequestResponse", b"Event", b"DryRun"
_JSON: Header = (b"content-type", b"application/json")
_LATEST: Header = (b"x-amz-executed-version", b"$LATEST")


@frozen
class _Reply:
    """What goes back; `error` is for the log."""

    status: int
    headers: list[Header]
    body: bytes
    error: str | None = None


class InvokeApi:
    """ASGI endpoint of everything below `/2015-03-31/`."""

    def __init__(self, front: Front, events: EventQueue) -> None:
        self._front = front
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and log it."""
        front = self._front
        started = front.clock.monotonic()
        request_id = front.ids.request_id()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        trace, named = given_trace(headers.get(b"x-amzn-trace-id")), None
        try:
            named = _named_in(scope)
            trace, context = self._context(headers, trace)
            call = Call(request_id, trace, context, b"")
            reply = await self._run(named, call, headers, receive)
        except CallError as error:
            reply = _error_reply(error)
        except ClientGoneError:
            return
        except Exception:  # the outermost point of a request: a bug costs this one only
            front.log.exception("bug", request_id=request_id)
            reply = _error_reply(InfrastructureError("The gateway failed; its log has the reason."))
        trace = trace or front.ids.trace(front.clock.now())
        reply.headers.append((b"x-amzn-requestid", request_id.encode("ascii")))
        reply.headers.append((b"x-amzn-trace-id", trace.encode("ascii")))
        await respond(send, reply.status, reply.headers, reply.body)
        if front.access.on:
            fields: dict[str, object] = {
                "door": "invoke",
                "request_id": request_id,
                "trace_id": trace,
                "function": named.name if named else None,
                "status": reply.status,
            }
            if reply.error is not None:
                fields["error"] = reply.error
            front.access.write(fields, front.clock.monotonic() - started)

    async def _run(
        self, named: FunctionName, call: Call, headers: dict[bytes, bytes], receive: Receive
    ) -> _Reply:
        """Do what the invocation type says; `call` gets its payload here."""
        target = self._target(named)
        kind = headers.get(b"x-amz-invocation-type", _SYNC)
        tail = _log_tail(headers)
        body = await _payload(headers, receive, kind)
        call = Call(call.request_id, call.trace, call.client_context, body, tail and kind == _SYNC)
        if kind == _EVENT:
            now = self._front.clock.monotonic()
            self._events.put(QueuedEvent(target.name, call, now, named.qualifier))
            return _Reply(202, [], b"")
        if kind == _DRY_RUN:
            return _Reply(204, [], b"")
        answer = await self._front.invoker.invoke(target, call, qualifier=named.qualifier)
        reply = _Reply(200, [_JSON, _LATEST], answer.body, answer.function_error)
        if answer.function_error is not None:
            reply.headers.append((b"x-amz-function-error", answer.function_error.encode("latin-1")))
        if answer.log_result is not None:
            reply.headers.append((b"x-amz-log-result", answer.log_result.encode("latin-1")))
        return reply

    def _target(self, named: FunctionName) -> Target:
        deployment = self._front.served.current
        target = deployment.targets.get(named.name)
        if target is None:
            raise UnknownFunctionError(f"Function not found: {deployment.arn_of(named.name)}")
        return target

    def _context(self, headers: dict[bytes, bytes], trace: str | None) -> tuple[str, str]:
        """The trace of this call, and the client context that carries it on."""
        context = parse_client_context(headers.get(b"x-amz-client-context"))
        if context is None:
            trace = trace or self._front.ids.trace(self._front.clock.now())
            return trace, bare_context(trace)
        trace = trace or context.trace or self._front.ids.trace(self._front.clock.now())
        return trace, context.encoded(trace)


def _log_tail(headers: dict[bytes, bytes]) -> bool:
    """Whether the caller wants the end of the log."""
    kind = headers.get(b"x-amz-log-type", b"None")
    if kind not in {b"None", b"Tail"}:
        raise InvalidParameterError(f"Value '{_shown(kind)}' at 'logType' is none of None, Tail.")
    return kind == b"Tail"


def _shown(value: bytes) -> str:
    return value[:64].decode("latin-1")


async def _payload(headers: dict[bytes, bytes], receive: Receive, kind: bytes) -> bytes:
    """Read the payload; none is an empty object, as on AWS."""
    if kind not in {_SYNC, _EVENT, _DRY_RUN}:
        raise InvalidParameterError(
            f"Value '{_shown(kind)}' at 'invocationType' is none of RequestResponse, Event, DryRun."
        )
    limit = MAX_EVENT_BYTES if kind == _EVENT else MAX_SYNC_BYTES
    try:
        body = await read_body(headers, receive, limit)
    except PayloadTooLargeError as error:
        shown = kind.decode("latin-1")
        raise PayloadTooLargeError(
            f"Request must be smaller than {limit} bytes for the {shown} invocation type: {error}"
        ) from error
    if not body:
        return b"{}"
    check_json(body)
    return body


def check_json(body: bytes) -> None:
    """Raise InvalidContentError unless the payload is JSON."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        _check_json_slowly(body)


def _check_json_slowly(body: bytes) -> None:
    """Lone surrogates and huge numbers are JSON too, though orjson takes neither."""
    try:
        json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidContentError(f"Could not parse request body into json: {error}") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _named_in(scope: Scope) -> FunctionName:
    """The function that an invocation's path and `Qualifier` parameter name."""
    path = raw_path(scope)
    if scope["method"] != "POST" or not path.startswith(_FUNCTIONS) or not path.endswith(_INVOCATIONS):
        raise UnknownOperationError(f"No operation of this gateway's Lambda API: {scope['method']} {path}")
    name = path[len(_FUNCTIONS) : -len(_INVOCATIONS)]
    named = parse_function_name(unquote(name) if "%" in name else name)
    if not scope["query_string"]:
        return named
    values = parse_qs(scope["query_string"].decode("latin-1")).get("Qualifier")
    return with_qualifier(named, values[0] if values else None)


def _error_reply(error: CallError) -> _Reply:
    row = lambda_error(error)
    body: dict[str, str] = {"Type": row.fault, row.text_key: str(error)}
    headers = [_JSON, (b"x-amzn-errortype", row.code.encode("ascii"))]
    if row.reason is not None:
        body["Reason"] = row.reason
        headers.append((b"retry-after", b"1"))
    return _Reply(row.status, headers, orjson.dumps(body), error=f"{row.code}: {error}")
