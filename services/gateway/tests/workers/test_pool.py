import asyncio
from collections.abc import Callable

import pytest
from esb_gateway.background import Background
from esb_gateway.errors import InfrastructureError, ReservedLimitError, ThrottledError
from esb_gateway.stats import FunctionStats
from esb_gateway.workers.agent import AgentRefusedError, AgentUnavailableError, InitFailedError, WorkerSpec
from esb_gateway.workers.pool import Pool
from esb_gateway.workers.worker import PoolLimits, PoolTools


@pytest.fixture
def make(agent, log, fake_time) -> Callable[..., Pool]:
    def build(**limits: float) -> Pool:
        numbers = iter(range(1, 1000))
        tools = PoolTools(
            agent=agent,
            open_channel=agent.open_channel,
            new_worker_id=lambda function: f"{function}-{next(numbers)}",
            monotonic=fake_time.now,
            background=Background(log).start,
            warn=log.warning,
        )
        spec = WorkerSpec(function="f", image="f:1")
        return Pool(spec, PoolLimits(**limits), FunctionStats(), tools)

    return build


async def test_a_cold_function_gets_a_worker_and_keeps_it_for_the_next_call(make, agent):
    pool = make()
    first = await pool.acquire()
    assert (pool.busy, pool.idle, pool.stats.cold_starts) == (1, 0, 1)
    pool.release(first)
    assert await pool.acquire() is first
    assert agent.started == ["f-1"]


async def test_the_minimum_is_kept_warm_before_the_first_call(make, agent, helpers):
    pool = make(min=3)
    pool.tend()
    await helpers.eventually(lambda: pool.idle == 3)
    pool.tend()
    assert len(agent.started) == 3
    assert pool.stats.cold_starts == 0


async def test_a_minimum_above_the_maximum_counts_as_the_maximum(make, helpers):
    pool = make(min=5, max=2)
    pool.tend()
    await helpers.eventually(lambda: pool.idle == 2)
    pool.tend()
    assert pool.size == 2


async def test_workers_idle_for_too_long_go_but_the_minimum_stays(make, agent, fake_time, helpers):
    pool = make(min=1, idle_timeout=60)
    workers = [await pool.acquire() for _ in range(3)]
    for worker in workers:
        pool.release(worker)
    fake_time.value += 59
    pool.tend()
    assert pool.idle == 3
    fake_time.value += 1
    pool.tend()
    assert pool.idle == 1
    await helpers.eventually(lambda: len(agent.alive) == 1)


async def test_the_worker_used_last_is_used_next(make, fake_time):
    pool = make()
    old, new = await pool.acquire(), await pool.acquire()
    pool.release(old)
    pool.release(new)
    assert await pool.acquire() is new


async def test_never_more_workers_than_the_maximum_and_those_who_wait_are_served_in_order(make, agent):
    pool = make(max=2)
    first, second = await pool.acquire(), await pool.acquire()
    served = []

    async def call(number: int) -> None:
        worker = await pool.acquire()
        served.append(number)
        await asyncio.sleep(0)
        pool.release(worker)

    calls = [asyncio.create_task(call(number)) for number in range(6)]
    await asyncio.sleep(0)
    assert (pool.waiting, pool.size) == (6, 2)
    pool.release(first)
    pool.release(second)
    await asyncio.gather(*calls)
    assert served == list(range(6))
    assert len(agent.started) == 2


async def test_a_burst_on_a_cold_function_loses_no_call(make, agent):
    pool = make(max=10, queue=100)

    async def call() -> None:
        worker = await pool.acquire()
        await asyncio.sleep(0)
        pool.release(worker)

    await asyncio.gather(*(call() for _ in range(50)))
    assert pool.busy == pool.waiting == pool.starting == 0
    assert 1 <= len(agent.started) <= 10


@pytest.mark.parametrize("maximum", [4, 50])
async def test_a_burst_within_maximum_and_line_is_served_and_one_call_more_is_throttled(make, agent, maximum):
    agent.gate = asyncio.Event()
    pool = make(max=maximum, queue=50 - maximum)
    calls = [asyncio.create_task(pool.acquire()) for _ in range(50)]
    await asyncio.sleep(0)
    with pytest.raises(ThrottledError, match="50 calls wait already"):
        await pool.acquire()
    agent.gate.set()
    served = 0
    while calls:
        done, rest = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for call in done:
            pool.release(call.result())
        served, calls = served + len(done), list(rest)
    assert (served, len(agent.started)) == (50, maximum)
    assert (pool.busy, pool.waiting, pool.starting, pool.idle) == (0, 0, 0, maximum)


async def test_a_slow_start_of_one_function_holds_up_no_other(make, agent, helpers):
    slow = make()
    agent.gate = asyncio.Event()
    waiting = asyncio.create_task(slow.acquire())
    await helpers.eventually(lambda: agent.started)
    gate, agent.gate = agent.gate, None
    await make().acquire()
    assert not waiting.done()
    gate.set()
    await waiting


async def test_a_full_line_throttles_at_once(make):
    pool = make(max=1, queue=1)
    await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    with pytest.raises(ThrottledError, match="1 calls wait already"):
        await pool.acquire()
    waiting.cancel()


async def test_who_waits_for_too_long_is_throttled_and_leaves_the_line(make):
    pool = make(max=1, acquire_timeout=0.01)
    worker = await pool.acquire()
    with pytest.raises(ThrottledError, match=r"within 0\.01 s"):
        await pool.acquire()
    assert pool.waiting == 0
    pool.release(worker)
    assert pool.idle == 1


async def test_a_function_switched_off_is_throttled_at_once(make, agent):
    with pytest.raises(ReservedLimitError):
        await make(max=0, reserved=True).acquire()
    assert agent.started == []


@pytest.mark.parametrize(("reserved", "kind"), [(True, ReservedLimitError), (False, ThrottledError)])
async def test_a_throttle_says_whether_the_functions_own_maximum_was_reached(make, reserved, kind):
    pool = make(max=1, queue=1, acquire_timeout=0.01, reserved=reserved)
    await pool.acquire()
    late = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    with pytest.raises(ThrottledError, match="calls wait already") as full:
        await pool.acquire()
    with pytest.raises(ThrottledError, match="no worker became free") as unlucky:
        await late
    assert {type(full.value), type(unlucky.value)} == {kind}


async def test_a_caller_that_goes_away_while_waiting_costs_nobody_a_worker(make):
    pool = make(max=1)
    worker = await pool.acquire()
    gone, stays = asyncio.create_task(pool.acquire()), asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    gone.cancel()
    pool.release(worker)
    assert await stays is worker


async def test_a_caller_that_goes_away_with_the_worker_in_hand_gives_it_back(make):
    pool = make(max=1)
    worker = await pool.acquire()
    gone = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.release(worker)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert (pool.idle, pool.busy) == (1, 0)


async def test_a_retired_worker_is_destroyed_and_whoever_waits_gets_another(make, agent, helpers):
    pool = make(max=1)
    worker = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.retire(worker, "exit")
    assert (await waiting).worker_id == "f-2"
    await helpers.eventually(lambda: list(agent.alive) == ["f-2"])
    assert pool.stats.workers_lost == 1


async def test_a_worker_below_the_minimum_is_replaced(make, agent, helpers):
    pool = make(min=1)
    pool.tend()
    await helpers.eventually(lambda: pool.idle == 1)
    pool.retire(await pool.acquire(), "exit")
    assert pool.size == 0
    pool.tend()
    await helpers.eventually(lambda: pool.idle == 1)


async def test_when_one_worker_is_found_dead_the_others_that_hung_up_go_too(make, agent):
    pool = make()
    workers = [await pool.acquire() for _ in range(3)]
    for worker in workers:
        pool.release(worker)
    agent.unreachable = {worker.worker_id for worker in workers}
    pool.retire(await pool.acquire(), "not reached")
    assert pool.idle == 0


async def test_a_failed_initialisation_fails_one_call_each_time(make, agent):
    agent.fail = InitFailedError(b'{"errorType":"Runtime.ImportModuleError"}')
    pool = make(max=1)
    results = await asyncio.gather(pool.acquire(), pool.acquire(), return_exceptions=True)
    assert [type(result) for result in results] == [InitFailedError, InitFailedError]
    assert len(agent.started) == 2
    assert pool.size == 0


async def test_when_the_agent_refuses_all_who_wait_are_told(make, agent):
    agent.fail = AgentRefusedError("NOT_FOUND: no image")
    pool = make(max=1)
    results = await asyncio.gather(pool.acquire(), pool.acquire(), return_exceptions=True)
    assert [str(result) for result in results] == ["NOT_FOUND: no image"] * 2
    assert all(isinstance(result, InfrastructureError) for result in results)
    agent.fail = None
    assert (await pool.acquire()).worker_id.startswith("f-")


async def test_calls_wait_for_an_agent_that_is_away_and_are_served_when_it_is_back(make, agent, helpers, log):
    agent.down = AgentUnavailableError("agent away")
    pool = make(max=2)
    calls = [asyncio.create_task(pool.acquire()) for _ in range(3)]
    await helpers.eventually(lambda: len(agent.started) >= 6)
    assert (pool.waiting, pool.starting, pool.trouble) == (3, 2, "agent away")
    agent.down = None
    done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    pool.release(done.pop().result())
    await asyncio.gather(*calls)
    # The starts were tried again under their ids: one whose answer was lost is not started twice.
    assert set(agent.started) == set(agent.alive) == {"f-1", "f-2"}
    assert pool.trouble is None
    assert log.events().count("worker start is tried again") == 1


async def test_a_call_that_waited_in_vain_for_the_agent_is_told_why_and_nothing_goes_on(make, agent, helpers):
    agent.down = AgentUnavailableError("agent away")
    pool = make(max=2, acquire_timeout=0.02)
    with pytest.raises(InfrastructureError, match="agent away"):
        await pool.acquire()
    await helpers.eventually(lambda: pool.size == 0)


async def test_an_agent_that_goes_away_between_start_and_connection_is_waited_for_too(make, agent):
    agent.unreachable = {"f-1"}

    def comes_back() -> None:
        agent.unreachable = set()

    asyncio.get_running_loop().call_later(0.02, comes_back)
    assert (await make().acquire()).worker_id == "f-1"


async def test_a_started_worker_that_cannot_be_reached_is_destroyed(make, agent, helpers):
    agent.unreachable = {"f-1"}
    pool = make()
    with pytest.raises(InfrastructureError):
        await pool.acquire()
    await helpers.eventually(lambda: not agent.alive)
    assert pool.size == 0


async def test_warming_is_tried_again_with_growing_pauses(make, agent, fake_time, helpers):
    agent.fail = AgentUnavailableError("agent away")
    pool = make(min=1)
    starts = []
    for second in range(9):
        fake_time.value = 1000.0 + second
        pool.tend()
        await helpers.eventually(lambda: pool.starting == 0)
        starts.append(len(agent.started))
    assert starts == [1, 2, 2, 3, 3, 3, 3, 4, 4]


async def test_a_drained_pool_serves_who_is_in_line_and_keeps_nothing(make, agent, helpers):
    pool = make(max=1, min=1)
    worker = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.drain()
    assert not pool.finished
    pool.release(worker)
    assert await waiting is worker
    pool.release(worker)
    pool.tend()
    assert pool.finished
    await helpers.eventually(lambda: not agent.alive)


async def test_a_drained_pool_still_takes_the_call_of_a_request_that_came_before(make):
    pool = make()
    pool.drain()
    worker = await pool.acquire()
    pool.release(worker)
    assert pool.finished


async def test_a_smaller_maximum_ends_idle_workers_now_and_busy_ones_when_they_are_free(make, agent, helpers):
    pool = make(max=3)
    workers = [await pool.acquire() for _ in range(3)]
    pool.release(workers[0])
    pool.resize(PoolLimits(max=1))
    assert (pool.idle, pool.busy) == (0, 2)
    pool.release(workers[1])
    pool.release(workers[2])
    assert (pool.idle, pool.busy) == (1, 0)
    await helpers.eventually(lambda: len(agent.alive) == 1)


async def test_a_larger_maximum_serves_those_in_line(make):
    pool = make(max=1)
    await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.resize(PoolLimits(max=2))
    assert (await waiting).worker_id == "f-2"


async def test_closing_ends_all_workers_and_turns_callers_away(make, agent, helpers):
    pool = make(max=1)
    await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.close()
    with pytest.raises(InfrastructureError, match="stopping"):
        await waiting
    with pytest.raises(InfrastructureError, match="stopping"):
        await pool.acquire()
    await helpers.eventually(lambda: not agent.alive)


async def test_a_worker_that_comes_up_after_closing_is_destroyed(make, agent, helpers):
    agent.gate = asyncio.Event()
    pool = make()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.close()
    agent.gate.set()
    with pytest.raises(InfrastructureError):
        await waiting
    await helpers.eventually(lambda: len(agent.started) == 1 and not agent.alive)


async def rested(pool: Pool, fake_time, *, workers: int = 1, seconds: float = 30) -> list:
    """Workers that were used once and then left alone."""
    held = [await pool.acquire() for _ in range(workers)]
    for worker in held:
        pool.release(worker)
    fake_time.value += seconds
    pool.tend()
    return held


async def test_idle_workers_are_paused_only_where_that_is_enabled(make, agent, fake_time, helpers):
    pool = make()
    await rested(pool, fake_time)
    assert (pool.idle, agent.frozen) == (1, [])
    pool = make(pause_after=30)
    await rested(pool, fake_time, seconds=29)
    assert (pool.idle, pool.paused) == (1, 0)
    fake_time.value += 1
    pool.tend()
    assert (pool.idle, pool.paused) == (0, 1)
    await helpers.eventually(lambda: agent.frozen)


async def test_a_paused_worker_is_resumed_before_a_new_one_is_started_and_after_an_idle_one(
    make, agent, fake_time
):
    pool = make(pause_after=30)
    frozen, warm = await rested(pool, fake_time, workers=2, seconds=0)
    fake_time.value += 30
    pool.release(await pool.acquire())
    pool.tend()
    assert (pool.idle, pool.paused) == (1, 1)
    assert await pool.acquire() is warm
    assert agent.thawed == []
    assert await pool.acquire() is frozen
    assert agent.thawed == [frozen.worker_id]
    assert (await pool.acquire()) not in (frozen, warm)
    assert pool.stats.resumes == 1


async def test_a_call_that_comes_while_its_worker_is_being_paused_waits_for_that_and_resumes_it(
    make, agent, fake_time
):
    pool = make(pause_after=30)
    (worker,) = await rested(pool, fake_time)
    assert agent.frozen == []  # the request is on its way
    assert await pool.acquire() is worker
    assert (agent.frozen, agent.thawed, agent.states) == ([worker.worker_id], [worker.worker_id], {})


async def test_a_worker_that_cannot_be_resumed_is_replaced_and_the_call_does_not_notice(
    make, agent, fake_time, helpers
):
    pool = make(pause_after=30)
    await rested(pool, fake_time)
    agent.refuse_resume = {"f-1"}
    assert (await pool.acquire()).worker_id == "f-2"
    await helpers.eventually(lambda: list(agent.alive) == ["f-2"])
    assert pool.stats.workers_lost == 1


async def test_a_worker_that_cannot_be_paused_is_ended(make, agent, fake_time, helpers):
    pool = make(pause_after=30)
    agent.refuse_pause = {"f-1"}
    await rested(pool, fake_time)
    await helpers.eventually(lambda: pool.size == 0 and not agent.alive)


async def test_paused_workers_go_after_the_idle_timeout_and_count_as_the_minimum(
    make, agent, fake_time, helpers
):
    pool = make(min=1, pause_after=30, idle_timeout=60)
    await rested(pool, fake_time, workers=3)
    assert pool.paused == 3
    fake_time.value += 30
    pool.tend()
    assert (pool.paused, pool.starting) == (1, 0)
    await helpers.eventually(lambda: len(agent.alive) == 1)


async def test_a_paused_pool_is_drained_resized_and_closed_as_an_idle_one(make, agent, fake_time, helpers):
    pool = make(pause_after=30)
    await rested(pool, fake_time, workers=3)
    pool.resize(PoolLimits(max=2, pause_after=30))
    assert pool.paused == 2
    pool.drain()
    assert pool.finished
    await helpers.eventually(lambda: not agent.alive)


async def test_the_age_of_the_first_in_line_is_known(make, fake_time):
    pool = make(max=1)
    worker = await pool.acquire()
    waiting = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    assert pool.waiting_since == fake_time.value
    pool.release(worker)
    await waiting
    assert pool.waiting_since is None
