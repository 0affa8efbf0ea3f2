"""The gRPC service: each method translates in, calls one function, translates out.

`STATUS` is the table from errors to statuses.
"""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Protocol, TypeVar

import grpc
import structlog
from esb_agent_api import agent_pb2 as pb
from esb_agent_api.agent_pb2_grpc import AgentServicer

from esb_agent import errors, translate
from esb_agent.fleet import Fleet
from esb_agent.status_text import shorten

log = structlog.get_logger()


class Owned(Protocol):
    """Every request says whose it is."""

    @property
    def owner_id(self) -> str:
        """The owner."""


Request = TypeVar("Request", bound=Owned)
Response = TypeVar("Response")
Context = grpc.aio.ServicerContext
# Who a client is by its certificate; None where the socket's file mode is what lets clients in.
Names = Callable[["Context[Any, Any]"], frozenset[str]] | None

REASON_KEY = "esb-reason"
STATUS: dict[type[errors.AgentError], tuple[grpc.StatusCode, str]] = {
    errors.BadRequestError: (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST"),
    errors.NotOwnerError: (grpc.StatusCode.PERMISSION_DENIED, "NOT_OWNER"),
    errors.ImageNotFoundError: (grpc.StatusCode.NOT_FOUND, "IMAGE_NOT_FOUND"),
    errors.ImageBrokenError: (grpc.StatusCode.DATA_LOSS, "IMAGE_BROKEN"),
    errors.WorkerNotFoundError: (grpc.StatusCode.NOT_FOUND, "WORKER_NOT_FOUND"),
    errors.WorkerConflictError: (grpc.StatusCode.ALREADY_EXISTS, "WORKER_CONFLICT"),
    errors.WorkerBusyError: (grpc.StatusCode.FAILED_PRECONDITION, "WORKER_BUSY"),
    errors.WorkerExitedError: (grpc.StatusCode.FAILED_PRECONDITION, "WORKER_EXITED"),
    errors.InitFailedError: (grpc.StatusCode.FAILED_PRECONDITION, "INIT_FAILED"),
    errors.StoppingError: (grpc.StatusCode.UNAVAILABLE, "STOPPING"),
    errors.DriverError: (grpc.StatusCode.UNAVAILABLE, "DRIVER"),
}
Method = Callable[["AgentService", Request, "Context[Request, Response]"], Coroutine[Any, Any, Response]]


def refusing(method: Method[Request, Response]) -> Method[Request, Response]:
    """Our errors become statuses; anything else is a bug, logged once, and INTERNAL without details."""

    @wraps(method)
    async def call(
        service: "AgentService", request: Request, context: "Context[Request, Response]"
    ) -> Response:
        try:
            service.check_client(request, context)
            return await method(service, request, context)
        except errors.AgentError as error:
            code, reason = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
            context.set_trailing_metadata(((REASON_KEY, reason),))
            return await context.abort(code, shorten(str(error)))
        except grpc.aio.AbortError:
            raise
        except Exception:  # the outermost layer of a request
            log.exception("a call failed", method=method.__name__)
            return await context.abort(grpc.StatusCode.INTERNAL, "the agent failed; its log says why")

    return call


class AgentService(AgentServicer):
    """`esb.agent.v1.Agent` over a fleet."""

    def __init__(self, fleet: Fleet, version: str, names: Names = None) -> None:
        self._fleet = fleet
        self._version = version
        self._names = names

    def check_client(self, request: Owned, context: Context[Any, Any]) -> None:
        """Raises NotOwnerError when the client's certificate is not the owner's it says it is."""
        if self._names and request.owner_id not in self._names(context):
            raise errors.NotOwnerError("owner_id: is not a name of the client's certificate")

    @refusing
    async def EnsureWorker(  # noqa: N802, D102 - named and described in agent.proto, as are all below
        self,
        request: pb.EnsureWorkerRequest,
        context: Context[pb.EnsureWorkerRequest, pb.EnsureWorkerResponse],
    ) -> pb.EnsureWorkerResponse:
        worker, created = await self._fleet.ensure(
            translate.to_identity(request), translate.to_spec(request.spec)
        )
        left = context.time_remaining()
        if created and left is not None and left <= 0:
            # Its caller has given up and will never hear of it.
            await self._fleet.destroy(request.owner_id, request.worker_id)
        return pb.EnsureWorkerResponse(worker=translate.from_worker(worker), created=created)

    @refusing
    async def DestroyWorker(  # noqa: N802, D102
        self,
        request: pb.DestroyWorkerRequest,
        context: Context[pb.DestroyWorkerRequest, pb.DestroyWorkerResponse],
    ) -> pb.DestroyWorkerResponse:
        existed = await self._fleet.destroy(request.owner_id, request.worker_id)
        return pb.DestroyWorkerResponse(existed=existed)

    @refusing
    async def PauseWorker(  # noqa: N802, D102
        self, request: pb.PauseWorkerRequest, context: Context[pb.PauseWorkerRequest, pb.PauseWorkerResponse]
    ) -> pb.PauseWorkerResponse:
        worker = await self._fleet.pause(request.owner_id, request.worker_id)
        return pb.PauseWorkerResponse(worker=translate.from_worker(worker))

    @refusing
    async def ResumeWorker(  # noqa: N802, D102
        self,
        request: pb.ResumeWorkerRequest,
        context: Context[pb.ResumeWorkerRequest, pb.ResumeWorkerResponse],
    ) -> pb.ResumeWorkerResponse:
        worker = await self._fleet.resume(request.owner_id, request.worker_id)
        return pb.ResumeWorkerResponse(worker=translate.from_worker(worker))

    @refusing
    async def ListWorkers(  # noqa: N802, D102
        self, request: pb.ListWorkersRequest, context: Context[pb.ListWorkersRequest, pb.ListWorkersResponse]
    ) -> pb.ListWorkersResponse:
        workers = await self._fleet.list_workers(request.owner_id, request.function)
        return pb.ListWorkersResponse(workers=map(translate.from_worker, workers))

    @refusing
    async def EnsureImage(  # noqa: N802, D102
        self, request: pb.EnsureImageRequest, context: Context[pb.EnsureImageRequest, pb.EnsureImageResponse]
    ) -> pb.EnsureImageResponse:
        await self._fleet.ensure_image(request.owner_id, request.image, request.sandbox)
        return pb.EnsureImageResponse()

    @refusing
    async def GetWorkerMetrics(  # noqa: N802, D102
        self,
        request: pb.GetWorkerMetricsRequest,
        context: Context[pb.GetWorkerMetricsRequest, pb.GetWorkerMetricsResponse],
    ) -> pb.GetWorkerMetricsResponse:
        metrics = await self._fleet.metrics(request.owner_id, request.worker_id)
        return translate.from_metrics(request.worker_id, metrics)

    @refusing
    async def Health(  # noqa: N802, D102
        self, request: pb.HealthRequest, context: Context[pb.HealthRequest, pb.HealthResponse]
    ) -> pb.HealthResponse:
        health = await self._fleet.health(request.owner_id)
        return translate.from_health(health, self._version)
