import asyncio

import pytest
from esb_gateway.background import Background
from esb_gateway.deployment import Box, FunctionPlan, Plan
from esb_gateway.errors import InfrastructureError
from esb_gateway.routes.router import Router
from esb_gateway.stats import GatewayStats
from esb_gateway.workers.agent import AgentRefusedError, AgentUnavailableError, WorkerSpec, WorkerState
from esb_gateway.workers.fleet import Fleet
from esb_gateway.workers.pool import Pool
from esb_gateway.workers.worker import PoolLimits, PoolTools


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


SPEC = WorkerSpec("f", "f:1")


@pytest.fixture
def looked(fleet, agent, helpers):
    """A fleet that serves function f and looked once, after `strays` were left at the agent."""

    async def start(states: dict[str, WorkerState], **limits: float) -> Pool:
        agent.alive = dict.fromkeys(states, SPEC)
        agent.states = {name: state for name, state in states.items() if state is not WorkerState.READY}
        pool = fleet.adopt(plan_of(SPEC, PoolLimits(**limits))).targets["f"].pool
        await fleet.step()
        await helpers.eventually(lambda: pool.starting == 0)
        return pool

    return start


def plan_of(spec: WorkerSpec, limits: PoolLimits) -> Plan:
    return Plan("000001", {spec.function: FunctionPlan(spec, limits, 3.0)}, Router(()), (), ())


async def test_live_workers_of_an_earlier_run_are_adopted_and_used_instead_of_cold_starts(looked, agent):
    pool = await looked({"old-1": WorkerState.READY, "old-2": WorkerState.READY}, min=2)
    assert (pool.idle, pool.stats.adopted, agent.started) == (2, 2, [])
    worker = await pool.acquire()
    assert worker.worker_id.startswith("old-")
    assert pool.stats.cold_starts == 0


async def test_a_paused_worker_is_adopted_as_paused_and_resumed_for_a_call(looked, agent):
    pool = await looked({"old-1": WorkerState.PAUSED})
    assert (pool.idle, pool.paused) == (0, 1)
    assert (await pool.acquire()).worker_id == "old-1"
    assert agent.thawed == ["old-1"]


@pytest.mark.parametrize("state", [WorkerState.BUSY, WorkerState.STARTING])
async def test_a_worker_that_still_works_for_an_earlier_run_is_adopted_when_it_is_free(
    fleet, looked, agent, helpers, state
):
    pool = await looked({"old-1": state})
    assert (pool.size, list(agent.alive)) == (0, ["old-1"])
    agent.states.clear()
    await fleet.look()
    await helpers.eventually(lambda: pool.idle == 1)


async def test_one_that_does_not_become_free_within_its_functions_timeout_is_ended(
    fleet, looked, agent, fake_time, helpers
):
    await looked({"old-1": WorkerState.BUSY})
    fake_time.value += 17
    await fleet.look()
    assert list(agent.alive) == ["old-1"]
    fake_time.value += 2
    await fleet.look()
    await helpers.eventually(lambda: not agent.alive)


async def test_what_no_pool_wants_is_ended(fleet, looked, agent, helpers):
    agent_had = {"other-image": WorkerSpec("f", "f:0"), "no-function": WorkerSpec("g", "g:1")}
    pool = await looked({})
    agent.alive = {**agent_had, "exited": SPEC, "wanted": SPEC}
    agent.states = {"exited": WorkerState.EXITED}
    await fleet.look()
    await helpers.eventually(lambda: list(agent.alive) == ["wanted"] and pool.idle == 1)


async def test_more_live_workers_than_the_maximum_are_not_kept(looked, agent, helpers):
    pool = await looked({f"old-{number}": WorkerState.READY for number in range(4)}, max=2)
    assert pool.idle == 2
    await helpers.eventually(lambda: len(agent.alive) == 2)


@pytest.mark.parametrize("state", [WorkerState.READY, WorkerState.PAUSED])
async def test_a_maximum_lowered_while_workers_are_taken_over_holds(fleet, agent, helpers, state):
    agent.alive = {f"old-{number}": SPEC for number in range(3)}
    agent.states = {} if state is WorkerState.READY else dict.fromkeys(agent.alive, state)
    pool = fleet.adopt(plan_of(SPEC, PoolLimits(max=3))).targets["f"].pool
    await fleet.look()
    assert pool.starting == 3
    fleet.adopt(plan_of(SPEC, PoolLimits(max=1)))
    await helpers.eventually(lambda: pool.starting == 0)
    assert pool.size == 1
    await helpers.eventually(lambda: len(agent.alive) == 1)


async def test_a_function_removed_while_its_workers_are_taken_over_leaves_none(fleet, agent, helpers):
    agent.alive = {"old-1": SPEC, "old-2": SPEC}
    agent.states = {"old-2": WorkerState.PAUSED}
    fleet.adopt(plan_of(SPEC, PoolLimits(max=3)))
    await fleet.look()
    fleet.adopt(plan(other="o:1"))
    await helpers.eventually(lambda: not agent.alive)
    fleet.tend()
    assert fleet.draining == ()


async def test_nothing_is_ended_before_a_first_generation_says_what_is_wanted(fleet, agent):
    agent.alive = {"old-1": SPEC}
    await fleet.step()
    assert list(agent.alive) == ["old-1"]


async def test_a_live_worker_that_cannot_be_reached_is_ended(looked, agent, helpers):
    agent.unreachable = {"old-1"}
    pool = await looked({"old-1": WorkerState.READY})
    assert (pool.size, pool.stats.adopted) == (0, 0)
    await helpers.eventually(lambda: not agent.alive)


async def test_the_agent_is_asked_often_enough_for_the_lease(fleet, looked, agent, fake_time):
    await looked({})
    for _ in range(60):
        fake_time.value += 1
        await fleet.step()
    assert agent.listings >= 12


async def test_an_idle_worker_that_ended_unseen_is_replaced_below_the_minimum(
    fleet, looked, agent, fake_time, helpers
):
    pool = await looked({}, min=2)
    await helpers.eventually(lambda: pool.idle == 2)
    del agent.alive["run-1"]
    agent.states["run-2"] = WorkerState.EXITED
    await fleet.look()
    fleet.tend()
    await helpers.eventually(lambda: sorted(agent.alive) == ["run-3", "run-4"] and pool.idle == 2)
    assert pool.stats.workers_lost == 2


async def test_a_worker_that_came_while_the_agent_was_asked_is_not_taken_for_a_stray_or_a_dead_one(
    fleet, looked, agent
):
    pool = await looked({}, max=2)
    listed = agent.list

    async def list_slowly():
        before = await listed()
        pool.release(await pool.acquire())  # its start and its way to the idle ones fall into the listing
        return before

    agent.list = list_slowly
    await fleet.look()
    assert pool.idle == 1


async def test_a_worker_that_ends_while_the_agent_is_asked_is_not_adopted(fleet, looked, agent, helpers):
    pool = await looked({}, max=2)
    worker = await pool.acquire()
    listed = agent.list

    async def list_slowly():
        before = await listed()
        pool.retire(worker, "exit")
        await helpers.eventually(lambda: not agent.alive)
        return before

    agent.list = list_slowly
    await fleet.look()
    assert (pool.size, pool.stats.adopted) == (0, 0)


async def test_a_worker_that_could_not_be_ended_is_ended_when_the_agent_is_back(
    fleet, looked, agent, helpers, log
):
    pool = await looked({})
    worker = await pool.acquire()
    agent.down = AgentUnavailableError("away")
    pool.retire(worker, "exit")
    await helpers.eventually(lambda: "worker not destroyed" in log.events())
    await fleet.look()
    assert (list(agent.alive), fleet.agent_up) == (["run-1"], False)
    agent.down = None
    await fleet.look()
    await helpers.eventually(lambda: not agent.alive)
    await fleet.look()
    assert fleet.agent_up


async def test_a_start_whose_answer_was_lost_leaves_no_worker(fleet, looked, agent, helpers):
    pool = await looked({}, acquire_timeout=0.01)

    async def lose_the_answer(worker_id, spec):
        agent.alive[worker_id] = spec
        raise AgentUnavailableError("deadline exceeded")

    agent.ensure = lose_the_answer
    with pytest.raises(InfrastructureError, match="deadline exceeded"):
        await pool.acquire()
    await helpers.eventually(lambda: pool.size == 0)
    assert list(agent.alive) == ["run-1"]
    await fleet.look()
    await helpers.eventually(lambda: not agent.alive)


async def test_the_minimum_is_restored_as_soon_as_the_agent_is_back(fleet, looked, agent, fake_time, helpers):
    agent.down = AgentUnavailableError("away")
    pool = await looked({}, min=2)
    for _ in range(20):
        fake_time.value += 1
        await fleet.step()
        await helpers.eventually(lambda: pool.starting == 0)
    agent.down = None
    fake_time.value += 1
    await fleet.step()
    await helpers.eventually(lambda: pool.idle == 2)


async def test_closing_leaves_workers_for_the_next_run_or_ends_them(fleet, looked, agent, helpers):
    pool = await looked({}, min=2)
    await helpers.eventually(lambda: pool.idle == 2)
    fleet.close(keep=True)
    await asyncio.sleep(0)
    assert len(agent.alive) == 2


async def test_an_agent_that_refuses_to_list_is_told_of_once(fleet, agent, log):
    agent.refuse_list = [AgentRefusedError("no"), AgentRefusedError("no")]
    await fleet.look()
    await fleet.look()
    assert log.events() == ["agent does not list its workers"]
