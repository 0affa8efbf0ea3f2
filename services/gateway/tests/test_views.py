import asyncio

import httpx
import pytest
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.background import Background
from esb_gateway.deployment import VIEW_PATHS, Box, FunctionPlan, Plan, Served
from esb_gateway.routes.router import Route, Router
from esb_gateway.stats import GatewayStats
from esb_gateway.views import views
from esb_gateway.workers.agent import AgentUnavailableError, WorkerSpec, WorkerState
from esb_gateway.workers.fleet import Fleet
from esb_gateway.workers.worker import PoolLimits, PoolTools

SPEC = WorkerSpec("f", "f:1", "app.handler", "python3.12", environment=(("TOKEN", "s3cret"),))


@pytest.fixture
async def look(agent, log, fake_time):
    """A fleet with one function, and a way to read a view of it."""
    numbers = iter(range(1, 100))
    tools = PoolTools(
        agent=agent,
        open_channel=agent.open_channel,
        new_worker_id=lambda function: f"w{next(numbers)}",
        monotonic=fake_time.now,
        background=Background(log).start,
        warn=log.warning,
    )
    fleet = Fleet(Box(), tools, GatewayStats())
    routes = Router([Route("/a/{id}", "GET", "f", "2.0")])
    plan = Plan("000007", {"f": FunctionPlan(SPEC, PoolLimits(max=2), 3.0)}, routes, (), ())
    served = Served(fleet.adopt(plan))
    await fleet.step()
    endpoints = views(served, fleet, agent, fake_time.clock(), admin=lambda scope: None)

    async def read(path: str, method: str = "GET") -> httpx.Response:
        transport = httpx.ASGITransport(app=endpoints[path])
        async with httpx.AsyncClient(transport=transport, base_url="http://box") as client:
            return await client.request(method, path)

    read.pool = fleet.pools["f"]
    return read


async def test_pools_are_shown_with_their_line_and_their_breaker(look, fake_time):
    pool = look.pool
    first = await pool.acquire()
    await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    fake_time.value += 2.5
    body = (await look("/metrics/pools")).json()
    assert body["agent_up"] is True
    (shown,) = body["pools"]
    assert shown["workers"] == {"idle": 0, "paused": 0, "busy": 2, "starting": 0}
    assert shown["queue"] == {"depth": 1, "oldest_seconds": 2.5}
    assert shown["breaker"] == {"state": "closed", "failures_in_a_row": 0, "trips": 0}
    assert (shown["limits"]["max"], shown["counts"]["cold_starts"], shown["trouble"]) == (2, 2, None)
    pool.release(first)
    await waiting


async def test_containers_are_what_the_agent_has_beside_what_the_pools_think(look, agent, fake_time):
    await look.pool.acquire()
    agent.alive["stray"] = WorkerSpec("g", "g:1")
    agent.states["stray"] = WorkerState.BUSY
    fake_time.value += 60
    ours, stray = (await look("/metrics/containers")).json()["containers"]
    assert (ours["worker_id"], ours["pool_state"], ours["agent_state"]) == ("w1", "busy", "ready")
    assert (ours["age_seconds"], ours["usage"]["rss_bytes"]) == (60.0, 1024)
    assert (stray["worker_id"], stray["pool_state"], stray["agent_state"]) == ("stray", None, "busy")


async def test_containers_of_an_agent_that_is_away_are_what_the_pools_know(look, agent):
    await look.pool.acquire()
    agent.down = AgentUnavailableError("away")
    body = (await look("/metrics/containers")).json()
    assert body["agent"] == {"reachable": False, "error": "away"}
    assert body["containers"] == [
        {"worker_id": "w1", "function": "f", "pool_state": "busy", "agent_state": None}
    ]


async def test_functions_are_shown_without_the_values_of_their_environment(look):
    response = await look("/functions")
    (shown,) = response.json()["functions"]
    assert (shown["name"], shown["image"], shown["environment"]) == ("f", "f:1", ["TOKEN"])
    assert shown["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert "s3cret" not in response.text


async def test_routes_are_shown_with_their_generation(look):
    body = (await look("/routes")).json()
    assert body["generation"] == "000007"
    assert [(route["method"], route["path"], route["function"]) for route in body["routes"]] == [
        ("GET", "/a/{id}", "f")
    ]


async def test_views_are_read_only_and_not_to_be_kept(look):
    assert (await look("/routes", "POST")).status_code == 405
    assert (await look("/routes", "HEAD")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", VIEW_PATHS)
async def test_views_are_for_who_runs_the_box(gateway, helpers, path):
    store = CredentialStore(helpers.make_credentials())
    key = store.current.admin_keys[0].value
    async with gateway({"f": {"image": "x"}}, deps={"credentials": store}) as box:
        stranger = await box.client.get(path)
        assert (stranger.status_code, "generation" in stranger.text) == (403, False)
        assert (await box.client.get(path, headers={"x-api-key": "wrong"})).status_code == 403
        response = await box.client.get(path, headers={"x-api-key": key})
        assert response.status_code == 200
        assert response.json()


async def test_a_route_of_a_views_path_is_told_of(gateway):
    async with gateway({"f": {"image": "x"}}, [{"path": "/functions", "function": "f"}]) as box:
        (warning,) = (await box.client.get("/health")).json()["warnings"]
    assert "/functions: never reached" in warning
