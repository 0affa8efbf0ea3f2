"""The Lambda API as one endpoint: finds the operation, runs it, answers and logs.

request ─▶ operation of its method and path ─▶ Reply ─▶ response, access log
"""

from __future__ import annotations

from esb_gateway.async_invoke.event_queue import EventQueue
from esb_gateway.errors import CallError, InfrastructureError
from esb_gateway.front import Front
from esb_gateway.http_messages import ClientGoneError, Request
from esb_gateway.lambda_api.function_names import ALL_FUNCTIONS, FunctionName
from esb_gateway.lambda_api.operations import Operations
from esb_gateway.lambda_api.replies import Reply, error_reply
from esb_gateway.lambda_api.request import ApiRequest, function_in
from esb_gateway.routes.client import TrustedProxies
from esb_gateway.tracing import bare_context, given_trace, parse_client_context


class LambdaApi:
    """Endpoint of everything that `is_lambda_api`."""

    def __init__(self, front: Front, events: EventQueue, trusted: TrustedProxies) -> None:
        self._front = front
        self._operations = Operations(front, events, trusted)

    async def __call__(self, request: Request) -> Reply:
        """Answer one request and log it."""
        front = self._front
        started = front.clock.monotonic()
        request_id = front.ids.request_id()
        trace, named = given_trace(request.fields.get(b"x-amzn-trace-id")), ALL_FUNCTIONS
        try:
            operation, function = self._operations.find(request.method, request.raw_path)
            named = function_in(function, request.query) if function is not None else ALL_FUNCTIONS
            trace, context = self._context(request.fields, trace)
            reply = await operation(ApiRequest(request_id, trace, context, request), named)
        except CallError as error:
            reply = error_reply(error)
        except ClientGoneError:
            raise
        except Exception:  # the outermost point of a request: a bug costs this one only
            front.log.exception("bug", request_id=request_id)
            reply = error_reply(InfrastructureError("The gateway failed; its log has the reason."))
        trace = trace or front.ids.trace(front.clock.now())
        reply.headers.append((b"x-amzn-requestid", request_id.encode("ascii")))
        reply.headers.append((b"x-amzn-trace-id", trace.encode("ascii")))
        if front.access.on:
            self._log(request_id, trace, named, reply, started)
        return reply

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
