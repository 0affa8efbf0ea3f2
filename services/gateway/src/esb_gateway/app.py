"""The gateway as one endpoint, and as one ASGI application.

/2015-03-31/… and other dates: Lambda API      /health   /metrics      everything else: routes of routing.yml
/function-urls/{function}/…, or any path where the Host is <function>.lambda-url.<anything>: function URLs
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from typing import Any, BinaryIO

from attrs import field, frozen
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from esb_gateway.access_log import AccessLog, Log
from esb_gateway.asgi import answer_asgi, asgi_endpoint
from esb_gateway.async_invoke.dead_letters_api import DeadLettersApi
from esb_gateway.async_invoke.dead_letters_path import is_dead_letters
from esb_gateway.async_invoke.delivery import Delivery
from esb_gateway.async_invoke.durable_queue import DurableEventQueue
from esb_gateway.async_invoke.event_store import EventStore
from esb_gateway.async_invoke.event_tools import EventTools
from esb_gateway.auth.credential_store import RELOAD_SECONDS, CredentialStore
from esb_gateway.auth.gate import Gate
from esb_gateway.auth.login import LoginEndpoint
from esb_gateway.background import Background
from esb_gateway.clock import Clock
from esb_gateway.config import GatewayConfig
from esb_gateway.deployment import Deployment, Served
from esb_gateway.front import Front
from esb_gateway.health import HealthEndpoint
from esb_gateway.http_messages import Endpoint, Request, Response
from esb_gateway.lambda_api.endpoint import LambdaApi
from esb_gateway.lambda_api.paths import is_lambda_api
from esb_gateway.metrics import GatewayCollector, MetricsEndpoint
from esb_gateway.reload import POLL_SECONDS, Reloader
from esb_gateway.routes.api_routes import ApiRoutes
from esb_gateway.routes.function_urls import FunctionUrls, is_function_url
from esb_gateway.routes.proxy_request import ApiIdentity
from esb_gateway.scheduling.scheduler import Scheduler
from esb_gateway.stats import GatewayStats
from esb_gateway.tracing import Ids
from esb_gateway.views import views
from esb_gateway.workers import emulator
from esb_gateway.workers.agent import Agent
from esb_gateway.workers.fleet import TEND_SECONDS, Fleet
from esb_gateway.workers.invoker import Invoker
from esb_gateway.workers.prefetch import STEP_SECONDS, Prefetch
from esb_gateway.workers.worker import Channel, PoolTools

_SETTLE_SECONDS = 10.0
_FIRST_LOOK_SECONDS = 2.0


@frozen
class Deps:
    """The world as the gateway sees it; tests bring their own. `middleware` runs before every endpoint.

    The store is closed when the gateway stops.
    """

    agent: Agent
    log: Log
    store: EventStore
    credentials: CredentialStore
    clock: Clock = field(factory=Clock)
    access_stream: BinaryIO | None = None
    open_channel: Callable[[str], Channel] = emulator.open_channel
    middleware: Sequence[Middleware] = ()


class Gateway(Starlette):
    """All endpoints, by path. Starlette has the lifespan and the gateway's own views.

    What comes from a server of ours goes to `answer`; under any other one this is an ASGI application.
    Middleware runs before every endpoint, either way.
    """

    def __init__(
        self,
        *,
        invoke: Endpoint,
        routes: Endpoint,
        urls: Endpoint,
        dead_letters: ASGIApp,
        own: Mapping[str, ASGIApp],
        middleware: Sequence[Middleware],
        **options: Any,
    ) -> None:
        super().__init__(routes=[Route(path, app) for path, app in own.items()], **options)
        self._own = frozenset(own)
        self._invoke = invoke
        self._routes = routes
        self._urls = urls
        self._dead_letters = asgi_endpoint(dead_letters)
        self._views = asgi_endpoint(super().__call__)
        self._outermost: ASGIApp = partial(answer_asgi, self._choose)
        for factory, args, more in reversed(middleware):
            self._outermost = factory(self._outermost, *args, **more)
        self.answer: Endpoint = asgi_endpoint(self._outermost) if middleware else self._choose

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of an ASGI server, or run the lifespan."""
        if scope["type"] == "http":
            await self._outermost(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _choose(self, request: Request) -> Coroutine[Any, Any, Response]:
        if is_function_url(request):
            return self._urls(request)
        path = request.path
        if path in self._own:
            return self._views(request)
        if is_lambda_api(path):
            return self._invoke(request)
        if is_dead_letters(path):
            return self._dead_letters(request)
        return self._routes(request)


def create_app(config: GatewayConfig, deps: Deps) -> Gateway:
    """Return the application; it reads CONFIG_DIR and starts workers when its lifespan starts, not before."""
    stats, background, ids = GatewayStats(), Background(deps.log), Ids()
    tools = PoolTools(
        agent=deps.agent,
        open_channel=deps.open_channel,
        new_worker_id=_worker_ids(secrets.token_hex(4)),
        monotonic=deps.clock.monotonic,
        background=background.start,
        warn=deps.log.warning,
    )
    fleet = Fleet(config.box, tools, stats)
    served = Served(Deployment(config.box))
    invoker = Invoker(deps.clock)
    events = DurableEventQueue(
        deps.store,
        Delivery(served, invoker),
        EventTools(stats, deps.clock, ids, deps.log, background.start),
        limit=config.event_queue_limit,
        dead_letter_limit=config.dead_letter_limit,
        retry_seconds=config.event_retry_seconds,
    )
    scheduler = Scheduler(
        config.box, events, stats, deps.log, clock=deps.clock, ids=ids, grace=config.schedule_grace
    )

    prefetch = Prefetch(deps.agent, deps.log, deps.clock.monotonic) if config.prefetch_images else None

    def on_change(deployment: Deployment) -> None:
        scheduler.adopt(deployment)
        if prefetch:
            prefetch.adopt(target.pool.spec for target in deployment.targets.values())
        events.look_again()

    reloader = Reloader(
        config.config_dir, config.box, fleet, served, stats=stats, log=deps.log, on_change=on_change
    )
    collector = GatewayCollector(stats, fleet, events, prefetch, deps.clock.monotonic)
    access = AccessLog(deps.access_stream, deps.clock.now)
    front = Front(served=served, invoker=invoker, access=access, clock=deps.clock, ids=ids, log=deps.log)
    gate = Gate(deps.credentials, front, region=config.box.region, sigv4=config.sigv4)
    identity = ApiIdentity(account_id=config.box.account, rest_stage=config.stage)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        events.load()
        await reloader.check()
        # Who lives already is adopted before the first call comes; an agent that hangs must not keep us from
        # starting.
        with suppress(TimeoutError):
            await asyncio.wait_for(fleet.step(), _FIRST_LOOK_SECONDS)
        heartbeat = background.every(TEND_SECONDS, fleet.step)
        if events.start():
            deps.log.info("events taken up", events=events.pending)
        loops = [
            background.every(POLL_SECONDS, reloader.check),
            background.every(0, scheduler.step),
            background.every(0, events.step),
            background.every(RELOAD_SECONDS, lambda: deps.credentials.reload(deps.log)),
        ]
        if prefetch:
            loops.append(background.every(STEP_SECONDS, prefetch.step))
        yield
        for loop in loops:
            loop.cancel()
        left = await events.drain(config.drain_timeout)
        if left:
            deps.log.info("events left for the next start", events=left)
        heartbeat.cancel()
        fleet.close(keep=config.keep_workers)
        await background.settle(_SETTLE_SECONDS)
        await deps.agent.close()

    return Gateway(
        invoke=gate.lambda_api(LambdaApi(front, events, config.trusted_proxies)),
        routes=ApiRoutes(front, identity, config.trusted_proxies, gate),
        urls=FunctionUrls(front, identity, config.trusted_proxies, gate),
        dead_letters=gate.guarded(DeadLettersApi(events.dead_letters, deps.log)),
        own={
            config.box.login_path: LoginEndpoint(
                deps.credentials, front, gate.api_key, config.trusted_proxies
            ),
            "/health": HealthEndpoint(served, reloader, deps.agent, fleet, prefetch),
            "/metrics": MetricsEndpoint(collector),
            **views(served, fleet, deps.agent, deps.clock, admin=gate.admin),
        },
        middleware=deps.middleware,
        lifespan=lifespan,
    )


def _worker_ids(run: str) -> Callable[[str], str]:
    """Ids that differ between runs: a new worker must not get the id of one that is adopted."""
    numbers = count(1)
    return lambda function: f"{run}-{next(numbers)}-{re.sub(r'[^A-Za-z0-9._-]', '-', function)[:40]}"
