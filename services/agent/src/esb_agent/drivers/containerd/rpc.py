"""One connection to containerd's socket: methods by name, its answers and its errors. No meaning here."""

import asyncio
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from esb_agent.drivers.containerd import api
from esb_agent.errors import DriverError

ANSWER_SECONDS = 30.0
# Messages hold pieces of blobs, and lists of all that a namespace has.
MAX_BYTES = 64 * 1024 * 1024
_UNREACHED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})


class ContainerdError(DriverError):
    """containerd said no; `code` is gRPC's."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(f"containerd: {message}")
        self.code = code

    @property
    def not_found(self) -> bool:
        """What was asked for is not there."""
        return self.code is grpc.StatusCode.NOT_FOUND

    @property
    def exists(self) -> bool:
        """What was to be made is there already."""
        return self.code is grpc.StatusCode.ALREADY_EXISTS

    @property
    def precondition(self) -> bool:
        """It is not in a state in which this can be done."""
        return self.code is grpc.StatusCode.FAILED_PRECONDITION


class ContainerdUnreachedError(DriverError):
    """Nobody answers there, or not in time."""


class ContainerdSilentError(ContainerdUnreachedError):
    """Somebody may be there, but does not answer in time."""


@cache
def _classes(name: str) -> tuple[str, Any, Any]:
    """A method's path on the wire, and the classes of its request and its response."""
    found = api.method(name)
    path = f"/{found.containing_service.full_name}/{found.name}"
    return path, GetMessageClass(found.input_type), GetMessageClass(found.output_type)


class Rpc:
    """Calls in one containerd namespace. All methods raise ContainerdError and ContainerdUnreachedError."""

    def __init__(self, address: str, namespace: str) -> None:
        self.address = address
        self._metadata = (("containerd-namespace", namespace),)
        # What connects again at once: a containerd that was restarted is waited for by nobody for long.
        options = [
            ("grpc.max_receive_message_length", MAX_BYTES),
            ("grpc.max_send_message_length", MAX_BYTES),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
            # Or connections to several sockets of one process would be shared by their target's text.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        self._channel = grpc.aio.insecure_channel(f"unix:{address}", options=options)
        self._callables: dict[str, Any] = {}

    async def close(self) -> None:
        """Let the connection go."""
        await self._channel.close()

    def _callable(self, name: str, kind: str) -> Any:
        if name not in self._callables:
            path, request, response = _classes(name)
            self._callables[name] = getattr(self._channel, kind)(
                path, request_serializer=request.SerializeToString, response_deserializer=response.FromString
            )
        return self._callables[name]

    async def call(
        self, name: str, /, *, lease: str = "", seconds: float = ANSWER_SECONDS, **fields: object
    ) -> Any:
        """Ask once. `lease` holds what is made for as long as there is that lease."""
        request = _classes(name)[1](**fields)
        try:
            return await self._callable(name, "unary_unary")(
                request, metadata=self._with(lease), timeout=seconds
            )
        except grpc.aio.AioRpcError as error:
            raise self._translate(error) from None

    async def stream(
        self, name: str, /, *, seconds: float | None = ANSWER_SECONDS, **fields: object
    ) -> AsyncIterator[Any]:
        """Ask once for many answers. `seconds` None: as long as they come."""
        request = _classes(name)[1](**fields)
        call = self._callable(name, "unary_stream")(request, metadata=self._metadata, timeout=seconds)
        try:
            async for answer in call:
                yield answer
        except grpc.aio.AioRpcError as error:
            raise self._translate(error) from None
        finally:
            call.cancel()

    async def exchange(
        self, name: str, requests: AsyncIterator[Any], /, *, lease: str = "", seconds: float | None = None
    ) -> Any:
        """Send many, each once the one before is answered; return the last answer, None when there is none.

        A refusal that came while the next one is sent would break the sending, and its reason would be lost.
        """
        answered = asyncio.Semaphore(0)

        async def paced() -> AsyncIterator[Any]:
            async for request in requests:
                yield request
                await answered.acquire()

        call = self._callable(name, "stream_stream")(paced(), metadata=self._with(lease), timeout=seconds)
        last = None
        try:
            async for answer in call:
                last = answer
                answered.release()
        except grpc.aio.AioRpcError as error:
            raise self._translate(error) from None
        except asyncio.CancelledError:
            call.cancel()
            raise
        finally:
            # Or what sends would wait for ever.
            answered.release()
        return last

    def _with(self, lease: str) -> tuple[tuple[str, str], ...]:
        return (*self._metadata, ("containerd-lease", lease)) if lease else self._metadata

    def _translate(self, error: grpc.aio.AioRpcError) -> DriverError:
        code, words = error.code(), error.details() or "no reason given"
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return ContainerdSilentError(f"containerd at {self.address} does not answer in time: {words}")
        if code in _UNREACHED:
            return ContainerdUnreachedError(f"containerd at {self.address} does not answer: {words}")
        return ContainerdError(code, words)
