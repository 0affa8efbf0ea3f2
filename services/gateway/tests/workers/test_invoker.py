import asyncio
import json
from contextlib import suppress

import pytest
from esb_gateway.background import Background
from esb_gateway.errors import CircuitOpenError, InfrastructureError, ThrottledError
from esb_gateway.stats import FunctionStats
from esb_gateway.workers.agent import AgentRefusedError, InitFailedError, WorkerSpec
from esb_gateway.workers.invoker import Answer, Call, Invoker, Target
from esb_gateway.workers.pool import Pool
from esb_gateway.workers.worker import PoolLimits, PoolTools
from esb_gateway.workers.worker_channel import (
    AnswerTooLargeError,
    WorkerAnswer,
    WorkerLostError,
    WorkerTimeoutError,
    WorkerUnreachedError,
)

CALL = Call("req-1", "Root=1-a-b", "Y29udGV4dA==", b'{"n":1}')


@pytest.fixture
def setup(agent, log, fake_time):
    def build(handler=None, **limits: float) -> tuple[Invoker, Target]:
        numbers = iter(range(1, 100))
        tools = PoolTools(
            agent=agent,
            open_channel=agent.open_channel,
            new_worker_id=lambda function: f"w{next(numbers)}",
            monotonic=fake_time.now,
            background=Background(log).start,
            warn=log.warning,
        )
        if handler is not None:
            agent.handlers["f"] = handler
        pool = Pool(WorkerSpec("f", "f:1"), PoolLimits(**limits), FunctionStats(), tools)
        return Invoker(fake_time.clock()), Target("f", "arn:aws:lambda:r:0:function:f", 3.0, pool)

    return build


async def test_a_call_reaches_the_worker_with_all_it_needs(setup, agent):
    invoker, target = setup()
    assert await invoker.invoke(target, CALL, qualifier="live") == Answer(b'{"n":1}')
    assert agent.seen[0].head == {
        "host": "worker",
        "content-type": "application/json",
        "x-amzn-requestid": "req-1",
        "x-amzn-trace-id": "Root=1-a-b",
        "x-amz-client-context": "Y29udGV4dA==",
        "x-esb-deadline-ms": "1700000003500",
        "x-esb-function-arn": "arn:aws:lambda:r:0:function:f:live",
        "content-length": "7",
    }
    assert (target.pool.idle, target.pool.stats.invocations, sum(target.pool.stats.buckets)) == (1, 1, 1)


async def test_a_functions_error_is_an_answer_and_its_worker_stays(setup, helpers):
    async def fail(seen):
        return helpers.answer({"errorType": "KeyError"}, error="Unhandled")

    invoker, target = setup(fail)
    assert (await invoker.invoke(target, CALL)).function_error == "Unhandled"
    assert (target.pool.idle, target.pool.stats.errors) == (1, 1)


@pytest.mark.parametrize(("gone", "timed_out"), [("timeout", True), ("exit", False), ("oom", False)])
async def test_a_worker_that_is_gone_after_its_answer_is_replaced(setup, helpers, gone, timed_out):
    async def leave(seen):
        return helpers.answer({"errorType": "x"}, error="Unhandled", gone=gone)

    invoker, target = setup(leave)
    answer = await invoker.invoke(target, CALL)
    assert (answer.function_error, answer.timed_out) == ("Unhandled", timed_out)
    assert target.pool.size == 0


@pytest.mark.parametrize("never_reached", [WorkerUnreachedError("refused"), 409, 410])
async def test_a_call_that_never_reached_its_workers_goes_to_another(setup, agent, helpers, never_reached):
    async def first_two_fail(seen):
        if seen.worker_id in {"w1", "w2"}:
            if isinstance(never_reached, Exception):
                raise never_reached
            return helpers.answer({}, status=never_reached)
        return helpers.answer("fine")

    invoker, target = setup(first_two_fail)
    assert (await invoker.invoke(target, CALL)).body == b'"fine"'
    assert [seen.worker_id for seen in agent.seen] == ["w1", "w2", "w3"]


async def test_a_third_worker_out_of_reach_ends_the_call(setup, agent):
    async def unreached(seen):
        raise WorkerUnreachedError("refused")

    invoker, target = setup(unreached)
    with pytest.raises(InfrastructureError, match="three workers in a row"):
        await invoker.invoke(target, CALL)
    assert len(agent.seen) == 3
    assert (target.pool.size, target.pool.stats.failures) == (0, 1)


async def test_a_connection_that_broke_is_not_tried_again(setup, agent):
    async def lost(seen):
        raise WorkerLostError("end of file")

    invoker, target = setup(lost)
    with pytest.raises(InfrastructureError, match="end of file"):
        await invoker.invoke(target, CALL)
    assert len(agent.seen) == 1
    assert target.pool.size == 0


async def test_a_worker_that_hangs_ends_as_aws_says_a_timeout(setup):
    async def hang(seen):
        raise WorkerTimeoutError("no answer within 5 s")

    invoker, target = setup(hang)
    answer = await invoker.invoke(target, CALL)
    assert answer.timed_out
    assert json.loads(answer.body) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "2023-11-14T22:13:20.000Z req-1 Task timed out after 3.00 seconds",
    }
    assert target.pool.size == 0


async def test_an_answer_too_large_is_the_functions_error(setup):
    async def large(seen):
        raise AnswerTooLargeError("more")

    invoker, target = setup(large)
    answer = await invoker.invoke(target, CALL)
    assert json.loads(answer.body)["errorType"] == "Function.ResponseSizeTooLarge"
    assert target.pool.size == 0


async def test_any_other_status_of_a_worker_is_the_boxs_fault(setup, helpers):
    async def odd(seen):
        return helpers.answer({}, status=500)

    invoker, target = setup(odd)
    with pytest.raises(InfrastructureError, match="answered 500"):
        await invoker.invoke(target, CALL)
    assert target.pool.idle == 1


async def test_a_failed_initialisation_is_the_functions_error(setup, agent):
    agent.fail = InitFailedError(b'{"errorType":"Runtime.ImportModuleError"}')
    invoker, target = setup()
    assert await invoker.invoke(target, CALL) == Answer(
        b'{"errorType":"Runtime.ImportModuleError"}', "Unhandled"
    )


async def test_throttled_calls_are_counted(setup):
    invoker, target = setup(max=0)
    with pytest.raises(ThrottledError):
        await invoker.invoke(target, CALL)
    assert target.pool.stats.throttles == 1


async def test_a_cancelled_call_does_not_leak_its_worker(setup, agent, helpers):
    async def hang(seen):
        await asyncio.Event().wait()

    invoker, target = setup(hang)
    call = asyncio.create_task(invoker.invoke(target, CALL))
    await helpers.eventually(lambda: agent.seen)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert target.pool.size == 0
    await helpers.eventually(lambda: not agent.alive)


async def test_after_the_agent_died_a_call_meets_no_second_dead_worker(setup, agent):
    invoker, target = setup()
    workers = [await target.pool.acquire() for _ in range(4)]
    for worker in workers:
        target.pool.release(worker)
    agent.unreachable = {worker.worker_id for worker in workers}
    assert (await invoker.invoke(target, CALL)).body == b'{"n":1}'


async def test_a_call_never_reaches_two_workers_whatever_happens_to_the_first(setup, agent, helpers):
    """The rule of the one retry: only when the first worker never saw the call."""
    outcomes = {
        "lost": WorkerLostError("end of file"),
        "timeout": WorkerTimeoutError("no answer"),
        "large": AnswerTooLargeError("more"),
        "status 500": helpers.answer({}, status=500),
        "exit": helpers.answer({"errorType": "x"}, error="Unhandled", gone="exit"),
        "oom": helpers.answer({"errorType": "x"}, error="Unhandled", gone="oom"),
    }
    for outcome in outcomes.values():

        async def reached(seen, outcome=outcome):
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        invoker, target = setup(reached)
        agent.seen.clear()
        with suppress(InfrastructureError):
            await invoker.invoke(target, CALL)
        assert len(agent.seen) == 1


@pytest.fixture
def losing(setup, agent, fake_time):
    """A function whose workers all break their connection, until `well` is set."""
    well = asyncio.Event()

    async def handler(seen):
        if not well.is_set():
            raise WorkerLostError("end of file")
        return WorkerAnswer(200, b"1", None, None)

    invoker, target = setup(handler)

    async def call() -> str:
        try:
            await invoker.invoke(target, CALL)
        except InfrastructureError as error:
            return type(error).__name__
        return "answered"

    return call, well, target.pool


async def test_five_failures_in_a_row_open_the_breaker_and_a_probe_closes_it(losing, agent, fake_time):
    call, well, pool = losing
    assert [await call() for _ in range(7)] == ["InfrastructureError"] * 5 + ["CircuitOpenError"] * 2
    assert (len(agent.seen), pool.breaker.state, pool.breaker.trips) == (5, "open", 1)
    fake_time.value += 5
    assert pool.breaker.state == "half_open"
    assert [await call() for _ in range(2)] == ["InfrastructureError", "CircuitOpenError"]
    fake_time.value += 9.9
    assert await call() == "CircuitOpenError"
    fake_time.value += 0.1
    well.set()
    assert [await call() for _ in range(3)] == ["answered"] * 3
    assert pool.breaker.state == "closed"


async def test_an_open_breaker_says_when_to_come_again(losing):
    call, _, pool = losing
    for _ in range(5):
        await call()
    with pytest.raises(CircuitOpenError) as caught:
        pool.breaker.admit()
    assert caught.value.retry_after == 5


async def test_only_one_call_is_the_probe(losing, setup, fake_time):
    call, well, _ = losing
    for _ in range(5):
        await call()
    fake_time.value += 5
    well.set()
    assert sorted(await asyncio.gather(*(call() for _ in range(3)))) == [
        "CircuitOpenError",
        "CircuitOpenError",
        "answered",
    ]


async def test_a_probe_that_is_cancelled_leaves_the_place_to_the_next(losing, agent, fake_time):
    call, well, _ = losing
    for _ in range(5):
        await call()
    fake_time.value += 5
    agent.gate = asyncio.Event()
    probe = asyncio.create_task(call())
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.wait((probe,))
    agent.gate.set()
    well.set()
    assert await call() == "answered"


async def test_calls_that_fail_together_count_once(losing):
    call, _, pool = losing
    await asyncio.gather(*(call() for _ in range(8)))
    assert (pool.breaker.failures, pool.breaker.state) == (1, "closed")


@pytest.mark.parametrize(
    "own",
    [
        {"error": "Unhandled"},
        {"error": "Unhandled", "gone": "exit"},
        {"error": "Unhandled", "gone": "oom"},
        {"error": "Unhandled", "gone": "timeout"},
    ],
)
async def test_a_functions_own_failures_never_open_the_breaker(setup, helpers, own):
    async def fail(seen):
        return helpers.answer({}, **own)

    invoker, target = setup(fail)
    for _ in range(8):
        await invoker.invoke(target, CALL)
    assert target.pool.breaker.failures == 0


async def test_failed_initialisations_timeouts_and_throttles_do_not_either(setup, agent):
    async def hang(seen):
        raise WorkerTimeoutError("no answer within 5 s")

    invoker, target = setup(hang)
    for _ in range(8):
        await invoker.invoke(target, CALL)
    agent.fail = InitFailedError(b"{}")
    for _ in range(8):
        await invoker.invoke(target, CALL)
    assert target.pool.breaker.failures == 0
    invoker, target = setup(max=0)
    for _ in range(8):
        with pytest.raises(ThrottledError):
            await invoker.invoke(target, CALL)
    assert target.pool.breaker.failures == 0


async def test_workers_the_agent_refuses_open_it_and_its_return_lets_the_next_call_try(
    setup, agent, fake_time
):
    agent.fail = AgentRefusedError("NOT_FOUND: no image")
    invoker, target = setup()
    for _ in range(5):
        with pytest.raises(InfrastructureError, match="no image"):
            await invoker.invoke(target, CALL)
    agent.fail = None
    with pytest.raises(CircuitOpenError):
        await invoker.invoke(target, CALL)
    target.pool.agent_is_back()
    assert (await invoker.invoke(target, CALL)).body == CALL.body
    assert target.pool.breaker.state == "closed"


async def test_the_second_try_meets_no_worker_that_dies_while_the_first_one_fails(setup, agent):
    invoker, target = setup()
    workers = [await target.pool.acquire() for _ in range(3)]
    for worker in workers:
        target.pool.release(worker)
    agent.unreachable = {workers[-1].worker_id}

    def others_die() -> None:
        agent.unreachable = {worker.worker_id for worker in workers}

    asyncio.get_running_loop().call_later(0.01, others_die)
    assert (await invoker.invoke(target, CALL)).body == CALL.body
    assert [seen.worker_id for seen in agent.seen] == ["w4"]


async def test_an_emulators_timeout_reads_as_lambdas_and_its_worker_is_replaced(setup):
    async def late(seen):
        raise WorkerTimeoutError("the emulator says: Task timed out after 3.00 seconds")

    invoker, target = setup(late)
    answer = await invoker.invoke(target, CALL)
    assert (answer.function_error, answer.timed_out, target.pool.size) == ("Unhandled", True, 0)
    assert b"Sandbox.Timedout" in answer.body
    assert b"req-1 Task timed out after 3.00 seconds" in answer.body
