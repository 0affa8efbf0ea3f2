import pytest
from esb_gateway.background import Background
from esb_gateway.deployment import Box, FunctionPlan, Plan
from esb_gateway.routes.router import Router
from esb_gateway.stats import GatewayStats
from esb_gateway.workers.agent import AgentRefusedError, AgentUnavailableError, WorkerSpec
from esb_gateway.workers.fleet import Fleet
from esb_gateway.workers.pool import PoolLimits, PoolTools


@pytest.fixture
def fleet(agent, log, fake_time) -> Fleet:
    numbers = iter(range(1, 1000))
    tools = PoolTools(
        agent=agent,
        open_channel=agent.open_channel,
        new_worker_id=lambda function: f"run-{next(numbers)}",
        monotonic=fake_time.now,
        background=Background(log).start,
        warn=log.warning,
    )
    return Fleet(Box(), tools, GatewayStats())


def plan(**images: str) -> Plan:
    functions = {
        name: FunctionPlan(WorkerSpec(name, image), PoolLimits(max=2), 3.0) for name, image in images.items()
    }
    return Plan("000001", functions, Router(()), (), ())


async def test_a_plan_becomes_targets_with_pools(fleet):
    target = fleet.adopt(plan(f="f:1")).targets["f"]
    assert (target.name, target.timeout) == ("f", 3.0)
    assert target.arn == "arn:aws:lambda:us-east-1:000000000000:function:f"
    assert target.pool is fleet.pools["f"]


async def test_a_function_that_stays_keeps_its_pool_and_others_drain(fleet):
    before = fleet.adopt(plan(stays="a", changes="b", goes="c")).targets
    held = [await before[name].pool.acquire() for name in before]
    after = fleet.adopt(plan(stays="a", changes="b2")).targets
    assert after["stays"].pool is before["stays"].pool
    assert after["changes"].pool is not before["changes"].pool
    assert set(fleet.draining) == {before["changes"].pool, before["goes"].pool}
    for name, worker in zip(before, held, strict=True):
        before[name].pool.release(worker)
    fleet.tend()
    assert fleet.draining == ()


async def test_only_the_workers_of_an_earlier_run_are_leftovers(fleet, agent):
    agent.alive = {"old-1": WorkerSpec("f", "x"), "run-1": WorkerSpec("f", "x")}
    await fleet.clear_leftovers(lambda worker_id: worker_id.startswith("run-"))
    assert list(agent.alive) == ["run-1"]


async def test_leftovers_are_looked_for_until_the_agent_answers(fleet, agent):
    agent.alive = {"old-1": WorkerSpec("f", "x")}
    agent.refuse_list = [AgentUnavailableError("not yet")]
    await fleet.clear_leftovers(lambda worker_id: False)
    assert agent.alive == {}


async def test_an_agent_that_refuses_to_list_is_not_asked_for_ever(fleet, agent, log):
    agent.refuse_list = [AgentRefusedError("no")]
    await fleet.clear_leftovers(lambda worker_id: True)
    assert log.events() == ["leftover workers not ended"]
