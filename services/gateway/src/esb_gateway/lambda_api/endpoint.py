"""The Lambda API as one ASGI endpoint: finds the operation, runs it, answers and logs.

request ─▶ operation of its method and path ─▶ Reply ─▶ response, access log
"""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from esb_gateway.asgi import ClientGoneError, raw_path, respond
from esb_gateway.async_invoke.event_queue import EventQueue
from esb_gateway.errors import CallError, InfrastructureError
from esb_gateway.front import Front
from esb_gateway.lambda_api.function_names import ALL_FUNCTIONS, FunctionName
from esb_gateway.lambda_api.operations import Operations
from esb_gateway.lambda_api.replies import Reply, error_reply
from esb_gateway.lambda_api.request import ApiRequest, function_in
from esb_gateway.routes.client import TrustedProxies
from esb_gateway.tracing import bare_context, given_trace, parse_client_context


class LambdaApi:
    """ASGI endpoint of everything that `is_lambda_api`."""

    def __init__(self, front: Front, events: EventQueue, trusted: TrustedProxies) -> None:
        self._front = front
        self._operations = Operations(front, events, trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and log it."""
        front = self._front
        started = front.clock.monotonic()
        request_id = front.ids.request_id()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        trace, named = given_trace(headers.get(b"x-amzn-trace-id")), ALL_FUNCTIONS
        try:
            operation, function = self._operations.find(scope["method"], raw_path(scope))
            named = function_in(function, scope["query_string"]) if function is not None else ALL_FUNCTIONS
            trace, context = self._context(headers, trace)
            request = ApiRequest(request_id, trace, context, scope, headers, receive)
            reply = await operation(request, named)
        except CallError as error:
            reply = error_reply(error)
        except ClientGoneError:
            return
        except Exception:  # the outermost point of a request: a bug costs this one only
            front.log.exception("bug", request_id=request_id)
            reply = error_reply(InfrastructureError("The gateway failed; its log has the reason."))
        trace = trace or front.ids.trace(front.clock.now())
        reply.headers.append((b"x-amzn-requestid", request_id.encode("ascii")))
        reply.headers.append((b"x-amzn-trace-id", trace.encode("ascii")))
        await respond(send, reply.status, reply.headers, reply.body)
        if front.access.on:
            self._log(request_id, trace, named, reply, started)

    def _context(self, headers: dict[bytes, bytes], trace: str | None) -> tuple[str, str]:
        """The trace of this request, and the client context that carries it on."""
        context = parse_client_context(headers.get(b"x-amz-client-context"))
        if context is None:
            trace = trace or self._front.ids.trace(self._front.clock.now())
            return trace, bare_context(trace)
        trace = trace or context.trace or self._front.ids.trace(self._front.clock.now())
        return trace, context.encoded(trace)

    def _log(self, request_id: str, trace: str, named: FunctionName, reply: Reply, started: float) -> None:
        fields: dict[str, object] = {
            "door": "invoke",
            "request_id": request_id,
            "trace_id": trace,
            "function": named.name or None,
            "status": reply.status,
        }
        if reply.error is not None:
            fields["error"] = reply.error
        self._front.access.write(fields, self._front.clock.monotonic() - started)
