"""What the gateway has and does, as JSON for operators: pools, workers, functions, routes.

Behind the admin gate. Values of environments are never shown, only their names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping

import attrs
import orjson
from starlette.types import ASGIApp, Receive, Scope, Send

from esb_gateway.asgi import respond
from esb_gateway.auth.errors import AuthError
from esb_gateway.clock import Clock
from esb_gateway.deployment import VIEW_PATHS, Served
from esb_gateway.routes.router import Route
from esb_gateway.stats import FunctionStats
from esb_gateway.workers.agent import Agent, AgentError, WorkerInfo
from esb_gateway.workers.fleet import Fleet
from esb_gateway.workers.invoker import Target
from esb_gateway.workers.pool import Pool

_USAGE_AT_ONCE = 16
_COUNTED = (
    "invocations",
    "errors",
    "failures",
    "throttles",
    "cold_starts",
    "adopted",
    "resumes",
    "workers_lost",
)
Document = Mapping[str, object]


class View:
    """ASGI endpoint that answers GET and HEAD with a document; `admin` raises AuthError for strangers."""

    def __init__(self, read: Callable[[], Awaitable[Document]], admin: Callable[[Scope], object]) -> None:
        self._read = read
        self._admin = admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        status, document = await self._answer(scope)
        if status == 405:
            headers.append((b"allow", b"GET, HEAD"))
        await respond(send, status, headers, orjson.dumps(document, option=orjson.OPT_INDENT_2))

    async def _answer(self, scope: Scope) -> tuple[int, Document]:
        try:
            self._admin(scope)
        except AuthError as error:
            return error.status, {"type": error.code, "message": str(error)}
        if scope["method"] not in ("GET", "HEAD"):
            return 405, {"type": "MethodNotAllowed", "message": "These are read only."}
        return 200, await self._read()


def views(
    served: Served, fleet: Fleet, agent: Agent, clock: Clock, *, admin: Callable[[Scope], object]
) -> dict[str, ASGIApp]:
    """Return the endpoints by their paths."""

    async def pools() -> Document:
        return _pools(fleet, clock.monotonic())

    async def containers() -> Document:
        return await _containers(fleet, agent, clock.now())

    async def functions() -> Document:
        return _functions(served)

    async def routes() -> Document:
        deployment = served.current
        shown = [_route(route) for route in deployment.router.routes]
        return {"generation": deployment.generation, "routes": shown}

    found = dict(zip(VIEW_PATHS, (pools, containers, functions, routes), strict=True))
    return {path: View(read, admin) for path, read in found.items()}


def _pools(fleet: Fleet, now: float) -> Document:
    return {
        "agent_up": fleet.agent_up,
        "pools": [_pool(pool, now) for pool in fleet.pools.values()],
        "draining": [_pool(pool, now) for pool in fleet.draining],
    }


def _pool(pool: Pool, now: float) -> Document:
    since = pool.waiting_since
    return {
        "function": pool.spec.function,
        "image": pool.spec.image,
        "limits": attrs.asdict(pool.limits),
        "workers": {
            "idle": pool.idle,
            "paused": pool.paused,
            "busy": pool.busy,
            "starting": pool.starting,
        },
        "queue": {"depth": pool.waiting, "oldest_seconds": 0.0 if since is None else round(now - since, 3)},
        "breaker": {
            "state": pool.breaker.state,
            "failures_in_a_row": pool.breaker.failures,
            "trips": pool.breaker.trips,
        },
        "trouble": pool.trouble,
        "counts": _counts(pool.stats),
    }


def _counts(stats: FunctionStats) -> Document:
    return {name: getattr(stats, name) for name in _COUNTED}


async def _containers(fleet: Fleet, agent: Agent, now: float) -> Document:
    """What the agent lists, beside the pools' view of it; either may know a worker that the other doesn't."""
    try:
        listed, problem = await agent.list(), None
    except AgentError as error:
        listed, problem = (), str(error)
    ours = dict(_members(fleet))
    gate = asyncio.Semaphore(_USAGE_AT_ONCE)

    async def usage(worker: WorkerInfo) -> object:
        async with gate:
            try:
                return attrs.asdict(await agent.usage(worker.worker_id))
            except AgentError as error:
                return {"error": str(error)}

    used = await asyncio.gather(*(usage(worker) for worker in listed))
    shown: list[Document] = [
        {
            "worker_id": worker.worker_id,
            "function": worker.function,
            "pool_state": ours.pop(worker.worker_id, (None, None))[1],
            "agent_state": worker.state.value,
            "age_seconds": round(max(0.0, now - worker.created), 3),
            "usage": taken,
        }
        for worker, taken in zip(listed, used, strict=True)
    ]
    shown += [
        {"worker_id": worker_id, "function": function, "pool_state": state, "agent_state": None}
        for worker_id, (function, state) in ours.items()
    ]
    return {"agent": {"reachable": problem is None, "error": problem}, "containers": shown}


def _members(fleet: Fleet) -> Iterator[tuple[str, tuple[str, str]]]:
    for pool in [*fleet.pools.values(), *fleet.draining]:
        for worker_id, state in pool.members():
            yield worker_id, (pool.spec.function, state)


def _functions(served: Served) -> Document:
    deployment = served.current
    shown = [_function(target) for target in deployment.targets.values()]
    return {"generation": deployment.generation, "functions": shown}


def _function(target: Target) -> Document:
    spec = target.pool.spec
    return {
        "name": target.name,
        "arn": target.arn,
        "image": spec.image,
        "handler": spec.handler,
        "runtime": spec.runtime,
        "timeout": target.timeout,
        "memory_mb": spec.memory_mb,
        "environment": [name for name, _ in spec.environment],
        "limits": attrs.asdict(target.pool.limits),
        "workers": target.pool.size,
    }


def _route(route: Route) -> Document:
    return {
        "path": route.path,
        "method": route.method,
        "function": route.function,
        "api_type": route.api_type,
        "payload_version": route.payload_version,
        "stage": route.stage or None,
        "auth": "none" if route.auth is None else route.auth.type,
        "cors": route.cors is not None,
    }
