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
from esb_gateway.errors import (
    CallError,
    InfrastructureError,
    InvalidContentError,
    InvalidParameterError,
    PayloadTooLargeError,
    UnknownFunctionError,
    lambda_error,
)
from esb_gateway.event_queue import EventQueue, QueuedEvent
from esb_gateway.front import Front
from esb_gateway.function_names import FunctionName, parse_function_name, with_qualifier
from esb_gateway.invoker import Call, Target
from esb_gateway.tracing import bare_context, given_trace, parse_client_context

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
    trace: str = ""
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
        path = raw_path(scope)
        name = _name_in(path) if scope["method"] == "POST" else None
        try:
            if name is None:
                reply = _unknown_operation(scope["method"], path)
            else:
                reply = await self._invoke(name, scope, receive, request_id)
        except CallError as error:
            reply = _error_reply(error)
        except ClientGoneError:
            return
        except Exception:  # the outermost point of a request: a bug costs this one only
            front.log.exception("bug", request_id=request_id)
            reply = _error_reply(InfrastructureError("The gateway failed; its log has the reason."))
        reply.headers.append((b"x-amzn-requestid", request_id.encode("ascii")))
        await respond(send, reply.status, reply.headers, reply.body)
        if front.access.on:
            fields: dict[str, object] = {
                "door": "invoke",
                "request_id": request_id,
                "trace_id": reply.trace,
                "function": name,
                "status": reply.status,
            }
            if reply.error is not None:
                fields["error"] = reply.error
            front.access.write(fields, front.clock.monotonic() - started)

    async def _invoke(self, name: str, scope: Scope, receive: Receive, request_id: str) -> _Reply:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        target, named = self._target(name, scope["query_string"])
        trace, context = self._context(headers)
        kind = headers.get(b"x-amz-invocation-type", _SYNC)
        body = await _payload(headers, receive, kind)
        call = Call(request_id, trace, context, body)
        extra: list[Header] = [(b"x-amzn-trace-id", trace.encode("ascii"))]
        if kind == _EVENT:
            now = self._front.clock.monotonic()
            self._events.put(QueuedEvent(target.name, call, now, named.qualifier))
            return _Reply(202, extra, b"", trace)
        if kind == _DRY_RUN:
            return _Reply(204, extra, b"", trace)
        answer = await self._front.invoker.invoke(target, call, qualifier=named.qualifier)
        extra += (_JSON, _LATEST)
        if answer.function_error is not None:
            extra.append((b"x-amz-function-error", answer.function_error.encode("latin-1")))
        return _Reply(200, extra, answer.body, trace, answer.function_error)

    def _target(self, name: str, query: bytes) -> tuple[Target, FunctionName]:
        named = parse_function_name(name)
        if query:
            values = parse_qs(query.decode("latin-1")).get("Qualifier")
            named = with_qualifier(named, values[0] if values else None)
        deployment = self._front.served.current
        target = deployment.targets.get(named.name)
        if target is None:
            raise UnknownFunctionError(f"Function not found: {deployment.arn_of(named.name)}")
        return target, named

    def _context(self, headers: dict[bytes, bytes]) -> tuple[str, str]:
        """The trace of this call, and the client context that carries it on."""
        trace = given_trace(headers.get(b"x-amzn-trace-id"))
        context = parse_client_context(headers.get(b"x-amz-client-context"))
        if context is None:
            trace = trace or self._front.ids.trace(self._front.clock.now())
            return trace, bare_context(trace)
        trace = trace or context.trace or self._front.ids.trace(self._front.clock.now())
        return trace, context.encoded(trace)


async def _payload(headers: dict[bytes, bytes], receive: Receive, kind: bytes) -> bytes:
    """Read the payload; none is an empty object, as on AWS."""
    if kind not in {_SYNC, _EVENT, _DRY_RUN}:
        shown = kind[:64].decode("latin-1")
        raise InvalidParameterError(
            f"Value '{shown}' at 'invocationType' is none of RequestResponse, Event, DryRun."
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


def _name_in(path: str) -> str | None:
    if path.startswith(_FUNCTIONS) and path.endswith(_INVOCATIONS):
        name = path[len(_FUNCTIONS) : -len(_INVOCATIONS)]
        return unquote(name) if "%" in name else name
    return None


def _error_reply(error: CallError) -> _Reply:
    row = lambda_error(error)
    body: dict[str, str] = {"Type": row.fault, row.text_key: str(error)}
    headers = [_JSON, (b"x-amzn-errortype", row.code.encode("ascii"))]
    if row.reason is not None:
        body["Reason"] = row.reason
        headers.append((b"retry-after", b"1"))
    return _Reply(row.status, headers, orjson.dumps(body), error=f"{row.code}: {error}")


def _unknown_operation(method: str, path: str) -> _Reply:
    body = orjson.dumps({"Message": f"No operation of this gateway's Lambda API: {method} {path}"})
    headers = [_JSON, (b"x-amzn-errortype", b"UnknownOperationException")]
    return _Reply(404, headers, body, error="UnknownOperationException")
