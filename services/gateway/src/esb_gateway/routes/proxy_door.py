"""What API routes and function URLs do alike with a request.

    request ─▶ Visit ─▶ answer: event ─▶ function ─▶ response      (or a refusal in the door's own words)

Ids go in, headers that tell them go out, the access log gets its line, and a bug costs one request only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from attrs import define

from esb_gateway.deployment import Deployment
from esb_gateway.errors import (
    CallError,
    FunctionFailedError,
    FunctionTimedOutError,
    InfrastructureError,
)
from esb_gateway.front import Front
from esb_gateway.http_messages import ClientGoneError, Request, Response
from esb_gateway.routes.client import TrustedProxies, client_of
from esb_gateway.routes.proxy_request import ApiIdentity, Caller, ProxyRequest
from esb_gateway.routes.router import Match
from esb_gateway.tracing import bare_context, given_trace
from esb_gateway.workers.invoker import Answer, Call, Target


@define(eq=False)
class Visit:
    """A request at a door: the path its function sees, and the function's name where there is one."""

    request: Request
    request_id: str
    trace: str
    deployment: Deployment
    path: str
    function: str | None


V = TypeVar("V", bound=Visit)


class ProxyDoor(ABC, Generic[V]):
    """An endpoint whose functions get events and answer responses."""

    name: ClassVar[str]
    bug: ClassVar[type[CallError]] = (
        InfrastructureError  # what a fault of the gateway looks like from outside
    )

    def __init__(self, front: Front, identity: ApiIdentity, trusted: TrustedProxies | None = None) -> None:
        self._front = front
        self._identity = identity
        self._trusted = trusted or TrustedProxies()

    @abstractmethod
    def visit(self, request: Request, request_id: str, trace: str) -> V:
        """Say where a request has come to."""

    @abstractmethod
    async def answer(self, visit: V) -> Response:
        """Answer it.

        Raises:
            CallError: what `refusal` has words for.
        """

    @abstractmethod
    def refusal(self, visit: V, error: CallError) -> Response:
        """Say what went wrong."""

    async def __call__(self, request: Request) -> Response:
        """Answer one request and log it."""
        front = self._front
        started = front.clock.monotonic()
        trace = given_trace(request.fields.get(b"x-amzn-trace-id")) or front.ids.trace(front.clock.now())
        visit = self.visit(request, front.ids.request_id(), trace)
        failure: str | None = None
        try:
            response = await self.answer(visit)
        except CallError as error:
            failure = f"{type(error).__name__}: {error}"
            response = self.refusal(visit, error)
        except ClientGoneError:
            raise
        except Exception as error:  # the outermost point of a request: a bug costs this one only
            failure = f"bug: {error!r}"
            front.log.exception("bug", request_id=visit.request_id)
            response = self.refusal(visit, self.bug())
        response.headers.append((b"x-amzn-requestid", visit.request_id.encode("ascii")))
        response.headers.append((b"x-amzn-trace-id", trace.encode("ascii")))
        if front.access.on:
            self._log(visit, response.status, failure, front.clock.monotonic() - started)
        return response

    async def call(self, target: Target, visit: V, event: bytes) -> Answer:
        """Call the function.

        Raises:
            FunctionTimedOutError, FunctionFailedError: what a function's failure is here.
        """
        call = Call(visit.request_id, visit.trace, bare_context(visit.trace), event)
        answer = await self._front.invoker.invoke(target, call)
        if answer.timed_out:
            raise FunctionTimedOutError(answer.body[:300].decode("utf-8", "replace"))
        if answer.function_error is not None:
            raise FunctionFailedError(answer.body[:300].decode("utf-8", "replace"))
        return answer

    def proxied(
        self, visit: V, match: Match, body: bytes, caller: Caller, identity: ApiIdentity
    ) -> ProxyRequest:
        """Return what the event is made of."""
        request = visit.request
        return ProxyRequest(
            match=match,
            method=request.method,
            raw_path=visit.path,
            query=request.query,
            headers=request.sent,
            body=body,
            client=client_of(request, self._trusted),
            protocol="HTTP/1.1" if request.http_version == "1.1" else f"HTTP/{request.http_version}",
            request_id=visit.request_id,
            trace=visit.trace,
            now=self._front.clock.now(),
            identity=identity,
            caller=caller,
        )

    def _log(self, visit: V, status: int, failure: str | None, seconds: float) -> None:
        fields: dict[str, object] = {
            "door": self.name,
            "request_id": visit.request_id,
            "trace_id": visit.trace,
            "method": visit.request.method,
            "path": visit.path,
            "function": visit.function,
            "status": status,
        }
        if failure is not None:
            fields["error"] = failure
        self._front.access.write(fields, seconds)
