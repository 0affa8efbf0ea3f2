"""In-memory fakes of the gateway's ports, and a gateway on top of them."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import uvicorn
from attrs import define, field, frozen
from esb_gateway.app import Deps, Gateway, create_app
from esb_gateway.async_invoke.event_store import open_store
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.credentials import AccessKey, ApiKey, Credentials, Jwt, User
from esb_gateway.clock import Clock
from esb_gateway.config import GatewayConfig
from esb_gateway.deployment import Box
from esb_gateway.http_server import GatewayProtocol
from esb_gateway.workers.agent import (
    AgentHealth,
    AgentRefusedError,
    WorkerInfo,
    WorkerSpec,
    WorkerState,
    WorkerUsage,
)
from esb_gateway.workers.worker_channel import WorkerAnswer, WorkerUnreachedError


class FakeLog:
    """Keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def _write(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    info = warning = error = exception = _write

    def events(self) -> list[str]:
        return [event for event, _ in self.lines]


class FakeTime:
    """A clock that only moves when told to."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.value = now

    def now(self) -> float:
        return self.value

    def clock(self) -> Clock:
        return Clock(self.now, self.now)


@frozen
class Seen:
    """What a worker got."""

    function: str
    worker_id: str
    head: dict[str, str]
    body: bytes

    @property
    def event(self) -> object:
        return json.loads(self.body)


def raw(body: bytes) -> WorkerAnswer:
    """An answer that is no JSON."""
    return WorkerAnswer(200, body, None, None)


Handler = Callable[[Seen], Awaitable[WorkerAnswer]]


async def echo(seen: Seen) -> WorkerAnswer:
    return WorkerAnswer(200, seen.body, None, None)


def answer(value: object, **more: object) -> WorkerAnswer:
    return WorkerAnswer(
        int(more.get("status", 200)),
        json.dumps(value).encode(),
        more.get("error"),
        more.get("gone"),
        more.get("log"),
    )


@define(slots=False)
class FakeAgent:
    """Workers in memory; `fail` makes starts fail, `gate` holds them up, `handlers` are functions.

    `alive` holds the workers, `states` what is not simply ready about some of them.
    """

    handlers: dict[str, Handler] = field(factory=dict)
    fail: Exception | None = None
    gate: asyncio.Event | None = None
    alive: dict[str, WorkerSpec] = field(factory=dict)
    started: list[str] = field(factory=list)
    seen: list[Seen] = field(factory=list)
    states: dict[str, WorkerState] = field(factory=dict)
    frozen: list[str] = field(factory=list)
    thawed: list[str] = field(factory=list)
    refuse_pause: set[str] = field(factory=set)
    refuse_resume: set[str] = field(factory=set)
    listings: int = 0
    unreachable: set[str] = field(factory=set)
    down: Exception | None = None
    refuse_list: list[Exception] = field(factory=list)
    closed: bool = False
    # What fetching an image comes to, where it fails; and all that was asked for.
    unfetched: dict[str, Exception] = field(factory=dict)
    fetched: list[tuple[str, str]] = field(factory=list)

    async def ensure_image(self, image: str, sandbox: str) -> None:
        self.fetched.append((image, sandbox))
        if self.down or image in self.unfetched:
            raise self.down or self.unfetched[image]

    async def ensure(self, worker_id: str, spec: WorkerSpec) -> WorkerInfo:
        self.started.append(worker_id)
        if self.down is not None:
            raise self.down
        if self.gate is not None:
            await self.gate.wait()
        if self.fail is not None:
            raise self.fail
        self.alive[worker_id] = spec
        return WorkerInfo(worker_id, spec.function, f"fake:{worker_id}", spec.fingerprint())

    async def destroy(self, worker_id: str) -> None:
        if self.down is not None:
            raise self.down
        self.alive.pop(worker_id, None)
        self.states.pop(worker_id, None)

    async def pause(self, worker_id: str) -> None:
        self.frozen.append(worker_id)
        if worker_id in self.refuse_pause or worker_id not in self.alive:
            raise AgentRefusedError(f"FAILED_PRECONDITION: {worker_id} has exited")
        self.states[worker_id] = WorkerState.PAUSED

    async def resume(self, worker_id: str) -> None:
        self.thawed.append(worker_id)
        if worker_id in self.refuse_resume or worker_id not in self.alive:
            raise AgentRefusedError(f"FAILED_PRECONDITION: {worker_id} has exited")
        self.states.pop(worker_id, None)

    async def list(self) -> tuple[WorkerInfo, ...]:
        self.listings += 1
        if self.down is not None:
            raise self.down
        if self.refuse_list:
            raise self.refuse_list.pop(0)
        return tuple(self.info(name) for name in self.alive)

    def info(self, name: str) -> WorkerInfo:
        spec, state = self.alive[name], self.states.get(name, WorkerState.READY)
        return WorkerInfo(name, spec.function, f"fake:{name}", spec.fingerprint(), state, 1_700_000_000.0)

    async def usage(self, worker_id: str) -> WorkerUsage:
        if worker_id not in self.alive:
            raise AgentRefusedError(f"NOT_FOUND: {worker_id}")
        return WorkerUsage(rss_bytes=1024, invocations=3)

    async def health(self) -> AgentHealth:
        if self.down is not None:
            raise self.down
        return AgentHealth(serving=True, driver="fake")

    async def close(self) -> None:
        self.closed = True

    def open_channel(self, address: str) -> FakeChannel:
        return FakeChannel(self, address.removeprefix("fake:"))


class FakeChannel:
    """The data path to a worker of FakeAgent."""

    def __init__(self, agent: FakeAgent, worker_id: str) -> None:
        self._agent = agent
        self._worker_id = worker_id

    @property
    def alive(self) -> bool:
        return self._worker_id in self._agent.alive and self._worker_id not in self._agent.unreachable

    async def connect(self, within: float) -> None:
        if not self.alive:
            raise WorkerUnreachedError(self._worker_id)

    async def call(self, head: bytes, body: bytes, within: float) -> WorkerAnswer:
        await self.connect(within)
        function = self._agent.alive[self._worker_id].function
        seen = Seen(function, self._worker_id, parse_head(head), body)
        self._agent.seen.append(seen)
        return await self._agent.handlers.get(function, echo)(seen)

    def close(self) -> None:
        pass


def parse_head(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def write_config(directory: Path, functions: object, routes: object = ()) -> None:
    """Plain files, as a person would write them. JSON is YAML."""
    (directory / "functions.yml").write_text(json.dumps(functions))
    (directory / "routing.yml").write_text(json.dumps({"routes": list(routes)}))


def write_generation(directory: Path, number: int, functions: object, routes: object = ()) -> None:
    """A generation as the applier writes it, switched to by one rename."""
    target = directory / "generations" / f"{number:06d}"
    target.mkdir(parents=True)
    write_config(target, functions, routes)
    (target / "resources.yml").write_text("resources: {}\n")
    (target / "image-import.json").write_text("{}")
    link = directory / ".current-new"
    link.symlink_to(Path("generations") / target.name)
    link.replace(directory / "current")


@define
class RunningGateway:
    """A gateway in this process and a client to it."""

    app: Gateway
    client: httpx.AsyncClient
    agent: FakeAgent
    log: FakeLog
    config_dir: Path

    async def invoke(self, name: str, payload: object = None, **headers: str) -> httpx.Response:
        content = b"" if payload is None else json.dumps(payload).encode()
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return await self.client.post(
            f"/2015-03-31/functions/{name}/invocations", content=content, headers=named
        )


def make_credentials() -> Credentials:
    """What every gateway in these tests knows; nothing of it opens anything else."""
    return Credentials(
        access_keys=(
            AccessKey("operator", "ESBOPERATOR", "operator-secret-key"),
            AccessKey("functions", "ESBFUNCTIONS", "functions-secret-key"),
        ),
        api_keys=(ApiKey("default", "the-api-key"), ApiKey("other", "another-api-key")),
        admin_keys=(ApiKey("operator", "the-admin-key"),),
        jwt=Jwt("the-secret-of-this-boxs-own-tokens-0123456789"),
        users=(User("admin", password="the-password"),),
    )


Starter = Callable[..., object]


@asynccontextmanager
async def running(
    config_dir: Path, agent: FakeAgent, log: FakeLog, *, deps: dict[str, object], settings: dict[str, object]
) -> AsyncIterator[RunningGateway]:
    settings.setdefault("drain_timeout", 1.0)
    settings.setdefault("state_dir", config_dir.with_name(f"{config_dir.name}-state"))
    settings.setdefault("sigv4", False)
    settings.setdefault("credentials_file", settings["state_dir"] / "credentials.yml")
    deps.setdefault("credentials", CredentialStore(make_credentials()))
    config = GatewayConfig(config_dir=config_dir, agent_address="fake", **settings)
    deps.setdefault("store", open_store(config.state_dir))
    app = create_app(config, Deps(agent=agent, log=log, open_channel=agent.open_channel, **deps))
    transport = httpx.ASGITransport(app=app, client=("203.0.113.7", 4711))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://box.local:8080") as client,
    ):
        yield RunningGateway(app, client, agent, log, config_dir)


@pytest.fixture
def agent() -> FakeAgent:
    return FakeAgent()


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def gateway(tmp_path: Path, agent: FakeAgent, log: FakeLog) -> Callable[..., object]:
    """Start a gateway: `async with gateway(functions, routes) as box`."""

    def start(
        functions: object = None,
        routes: object = (),
        deps: dict[str, object] | None = None,
        **settings: object,
    ) -> object:
        if functions is not None:
            write_config(tmp_path, {"functions": functions}, routes)
        return running(tmp_path, agent, log, deps=deps or {}, settings=settings)

    return start


@asynccontextmanager
async def serving(app: object, **settings: object) -> AsyncIterator[uvicorn.Server]:
    """An application served with our protocol, on a free port."""
    protocol = partial(GatewayProtocol, **settings)
    server = uvicorn.Server(uvicorn.Config(app, http=protocol, port=0, lifespan="off", log_config=None))
    running = asyncio.create_task(server._serve())  # without signal handlers: this is not its process
    await eventually(lambda: server.started)
    try:
        yield server
    finally:
        server.should_exit = True
        await running


async def connected(server: uvicorn.Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.servers[0].sockets[0].getsockname()[1])


async def sent(server: uvicorn.Server, *pieces: bytes) -> bytes:
    """All that comes until the connection is closed, for bytes sent piece by piece."""
    reader, writer = await connected(server)
    try:
        async with asyncio.timeout(10):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.05)
            return await reader.read()
    finally:
        writer.close()


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def helpers() -> type:
    """Functions that tests share; test modules don't import each other."""

    class Helpers:
        answer = staticmethod(answer)
        echo = staticmethod(echo)
        raw = staticmethod(raw)
        eventually = staticmethod(eventually)
        make_credentials = staticmethod(make_credentials)
        write_config = staticmethod(write_config)
        write_generation = staticmethod(write_generation)
        serving = staticmethod(serving)
        connected = staticmethod(connected)
        sent = staticmethod(sent)
        Agent = FakeAgent
        Log = FakeLog
        Time = FakeTime

    return Helpers


async def eventually(check: Callable[[], object], within: float = 5.0) -> None:
    """Wait until `check`, which may be a coroutine function, holds."""
    async with asyncio.timeout(within):
        while True:
            held = check()
            if await held if inspect.isawaitable(held) else held:
                return
            await asyncio.sleep(0.005)
