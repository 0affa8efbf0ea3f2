"""Ownership, idempotence, and what a well-formed request is."""

import asyncio

import pytest
from esb_agent.errors import (
    BadRequestError,
    DriverError,
    InitFailedError,
    NotOwnerError,
    StoppingError,
    WorkerConflictError,
    WorkerNotFoundError,
)
from esb_agent.fleet import Fleet, check_identity, check_spec
from esb_agent.model import FunctionSpec, Identity, WorkerState
from esb_agent.tally import Tally
from esb_agent.testing import FakeDriver
from hypothesis import given
from hypothesis import strategies as st

SPEC = FunctionSpec(name="echo", image="echo:1")
MINE, OTHERS = Identity(owner_id="me", worker_id="w1"), Identity(owner_id="other", worker_id="w1")


@pytest.fixture
def driver():
    return FakeDriver({"echo:1": lambda payload: payload})


@pytest.fixture
def fleet(driver):
    return Fleet(driver)


async def test_ensuring_twice_gives_the_same_worker(fleet):
    first, created = await fleet.ensure(MINE, SPEC)
    second, created_again = await fleet.ensure(MINE, SPEC)
    assert (created, created_again) == (True, False)
    assert first == second


async def test_ensuring_at_the_same_time_creates_one_worker(fleet, driver):
    created = await asyncio.gather(*(fleet.ensure(MINE, SPEC) for _ in range(10)))
    assert sorted(made for _, made in created) == [False] * 9 + [True]
    assert len(driver.workers) == 1


async def test_another_spec_under_the_same_id_is_a_conflict(fleet):
    await fleet.ensure(MINE, SPEC)
    with pytest.raises(WorkerConflictError):
        await fleet.ensure(MINE, FunctionSpec(name="echo", image="echo:1", memory_mb=256))


async def test_an_exited_worker_is_started_anew(fleet, driver):
    await fleet.ensure(MINE, SPEC)
    driver.crash("w1", "exit status 1")
    worker, created = await fleet.ensure(MINE, FunctionSpec(name="echo", image="echo:1", memory_mb=256))
    assert created
    assert worker.exit_reason == ""


async def test_another_owners_worker_is_out_of_reach(fleet, driver):
    await fleet.ensure(OTHERS, SPEC)
    for refused in (fleet.destroy, fleet.pause, fleet.resume, fleet.metrics):
        with pytest.raises(NotOwnerError):
            await refused("me", "w1")
    with pytest.raises(NotOwnerError):
        await fleet.ensure(MINE, SPEC)
    assert await fleet.list_workers("me") == ()
    assert len(driver.workers) == 1


async def test_an_owner_sees_its_own_workers_and_can_ask_for_one_functions(fleet):
    await fleet.ensure(MINE, SPEC)
    await fleet.ensure(Identity(owner_id="me", worker_id="w2"), FunctionSpec(name="two", image="echo:1"))
    await fleet.ensure(Identity(owner_id="other", worker_id="w3"), SPEC)
    assert [w.identity.worker_id for w in await fleet.list_workers("me")] == ["w1", "w2"]
    assert [w.identity.worker_id for w in await fleet.list_workers("me", "two")] == ["w2"]
    assert (await fleet.health("me")).workers == 2


async def test_destroying_what_is_not_there_is_no_error_but_using_it_is(fleet):
    assert await fleet.destroy("me", "w1") is False
    with pytest.raises(WorkerNotFoundError):
        await fleet.pause("me", "w1")


async def test_a_stopping_agent_makes_no_workers(fleet):
    await fleet.close()
    with pytest.raises(StoppingError):
        await fleet.ensure(MINE, SPEC)
    with pytest.raises(StoppingError):
        await fleet.ensure_image("me", SPEC.image)
    assert (await fleet.health("me")).serving is False


@pytest.mark.parametrize("worker_id", ["", "-a", ".hidden", "a/b", "a b", "..", "ä", "x" * 64, "a\n"])
def test_worker_ids_that_could_not_be_file_names_are_refused(worker_id):
    with pytest.raises(BadRequestError, match="worker_id"):
        check_identity(Identity(owner_id="me", worker_id=worker_id))


@pytest.mark.parametrize("owner_id", ["", "x" * 129, "a\nb"])
def test_owner_ids_are_short_and_printable(owner_id):
    with pytest.raises(BadRequestError, match="owner_id"):
        check_identity(Identity(owner_id=owner_id, worker_id="w"))


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": ".."}, "name"),
        ({"name": "a\0"}, "name"),
        ({"name": "ü" * 101}, "name"),
        ({"image": ""}, "image"),
        ({"timeout_ms": 0}, "timeout_ms"),
        ({"timeout_ms": -1}, "timeout_ms"),
        ({"memory_mb": 0}, "memory_mb"),
        ({"environment": {"": "x"}}, "environment"),
        ({"environment": {"A=B": "x"}}, "environment"),
        ({"environment": {"A": "x\0y"}}, "environment"),
        ({"handler": "a\0b"}, "handler"),
        ({"cmd": ("a\0b",)}, "cmd"),
    ],
)
def test_a_spec_that_cannot_be_run_is_refused_by_field(spec, field):
    with pytest.raises(BadRequestError, match=field):
        check_spec(FunctionSpec(**{"name": "f", "image": "i:1", **spec}))


@given(st.dictionaries(st.text(min_size=1), st.text()), st.integers(1, 900_000))
def test_a_specs_digest_does_not_depend_on_the_order_of_its_environment(environment, timeout):
    turned = dict(reversed(environment.items()))
    one, other = (
        FunctionSpec(name="f", image="i", timeout_ms=timeout, environment=e) for e in (environment, turned)
    )
    assert one.digest() == other.digest()
    assert (
        one.digest()
        != FunctionSpec(name="f", image="i", timeout_ms=timeout + 1, environment=environment).digest()
    )


async def test_who_waited_while_the_agent_was_stopped_gets_no_worker(fleet, driver):
    started, go = asyncio.Event(), asyncio.Event()
    create = driver.create

    async def slow(identity, spec):
        started.set()
        await go.wait()
        raise InitFailedError("destroyed")

    driver.create = slow
    first = asyncio.create_task(fleet.ensure(MINE, SPEC))
    await started.wait()
    second = asyncio.create_task(fleet.ensure(MINE, SPEC))
    await asyncio.sleep(0)
    driver.create = create
    await fleet.close()
    go.set()
    with pytest.raises(InitFailedError):
        await first
    with pytest.raises(StoppingError):
        await second
    assert driver.workers == {}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class TestOwnersThatAreGone:
    @pytest.fixture
    def clock(self):
        return Clock()

    @pytest.fixture
    def fleet(self, driver, clock):
        return Fleet(driver, Tally(), grace_seconds=60, clock=clock)

    async def test_their_workers_are_ended_and_others_are_not(self, fleet, driver, clock):
        await fleet.ensure(MINE, SPEC)
        await fleet.ensure(Identity(owner_id="other", worker_id="w2"), SPEC)
        clock.now = 61.0
        await fleet.list_workers("me")
        await fleet.collect()
        assert list(driver.workers) == ["w1"]
        assert fleet._tally.collected == 1

    @pytest.mark.parametrize("ask", ["list_workers", "health"])
    async def test_any_request_renews(self, fleet, driver, clock, ask):
        await fleet.ensure(MINE, SPEC)
        for _ in range(5):
            clock.now += 50
            await getattr(fleet, ask)("me")
            await fleet.collect()
        assert list(driver.workers) == ["w1"]

    async def test_a_call_in_flight_is_waited_for(self, fleet, driver, clock):
        await fleet.ensure(MINE, SPEC)
        driver.workers["w1"].state = WorkerState.BUSY
        clock.now = 61.0
        await fleet.collect()
        assert list(driver.workers) == ["w1"]
        driver.workers["w1"].state = WorkerState.READY
        await fleet.collect()
        assert not driver.workers

    async def test_one_that_cannot_be_ended_does_not_keep_the_others(self, fleet, driver, clock):
        for number in (1, 2):
            await fleet.ensure(Identity(owner_id="me", worker_id=f"w{number}"), SPEC)
        destroy = driver.destroy

        async def failing(worker_id):
            if worker_id == "w1":
                raise DriverError("the engine is away")
            return await destroy(worker_id)

        driver.destroy = failing
        clock.now = 61.0
        await fleet.collect()
        assert list(driver.workers) == ["w1"]

    async def test_they_are_looked_for_while_the_agent_runs(self, driver, until):
        fleet = Fleet(driver, Tally(), grace_seconds=0.05)
        await fleet.ensure(MINE, SPEC)
        listed, fails = driver.list_workers, iter([True, True])

        async def list_at_times():
            if next(fails, False):
                raise DriverError("the engine is away")
            return await listed()

        driver.list_workers = list_at_times
        watching = asyncio.create_task(fleet.watch_owners())
        await until(lambda: not driver.workers)
        watching.cancel()

    @pytest.mark.parametrize("state", [WorkerState.READY, WorkerState.PAUSED])
    async def test_one_that_comes_back_while_they_are_ended_keeps_the_rest(self, fleet, driver, clock, state):
        for number in (1, 2, 3):
            await fleet.ensure(Identity(owner_id="me", worker_id=f"w{number}"), SPEC)
        driver.workers["w3"].state = state
        destroy = driver.destroy

        async def slow(worker_id):
            # As long as this takes, the next gateway comes up and adopts what it finds.
            await destroy(worker_id)
            return len(await fleet.list_workers("me")) == 2

        driver.destroy = slow
        clock.now = 61.0
        await fleet.collect()
        assert list(driver.workers) == ["w2", "w3"]

    async def test_one_that_took_a_call_meanwhile_is_left_to_it(self, fleet, driver, clock):
        for number in (1, 2):
            await fleet.ensure(Identity(owner_id="me", worker_id=f"w{number}"), SPEC)
        destroy = driver.destroy

        async def slow(worker_id):
            driver.workers["w2"].state = WorkerState.BUSY
            return await destroy(worker_id)

        driver.destroy = slow
        clock.now = 61.0
        await fleet.collect()
        assert list(driver.workers) == ["w2"]

    async def test_an_agent_that_was_itself_held_up_blames_no_owner(self, driver, clock, until):
        fleet = Fleet(driver, Tally(), grace_seconds=0.06, clock=clock)
        await fleet.ensure(MINE, SPEC)
        listed, looks = driver.list_workers, []

        async def look():
            looks.append(clock.now)
            return await listed()

        driver.list_workers = look
        watching = asyncio.create_task(fleet.watch_owners())
        await asyncio.sleep(0)
        clock.now += 3600  # stopped, or its machine was: requests wait unread
        await until(lambda: looks)
        assert list(driver.workers) == ["w1"]
        for _ in range(7):
            clock.now += 0.011
            await asyncio.sleep(0.015)
        await until(lambda: not driver.workers)
        watching.cancel()

    async def test_a_bug_in_one_look_does_not_end_the_looking(self, driver, until):
        fleet = Fleet(driver, Tally(), grace_seconds=0.05)
        await fleet.ensure(MINE, SPEC)
        listed, fails = driver.list_workers, iter([True])

        async def list_at_times():
            if next(fails, False):
                raise OSError("too many open files")
            return await listed()

        driver.list_workers = list_at_times
        watching = asyncio.create_task(fleet.watch_owners())
        await until(lambda: not driver.workers)
        watching.cancel()

    async def test_without_a_grace_they_are_waited_for_without_end(self, driver):
        await Fleet(driver).watch_owners()


async def test_workers_an_engine_kept_are_taken_back_and_their_owners_given_their_grace():
    engine, clock = {}, Clock()
    first = Fleet(FakeDriver({"echo:1": lambda payload: payload}, engine))
    made, _ = await first.ensure(MINE, SPEC)
    await first.close()
    driver = FakeDriver({"echo:1": lambda payload: payload}, engine)
    second = Fleet(driver, grace_seconds=60, clock=clock)
    await second.recover()
    assert await second.list_workers("me") == (made,)
    assert await second.ensure(MINE, SPEC) == (made, False)
    clock.now = 61.0
    await second.collect()
    assert not driver.workers
    assert not engine


async def test_starts_are_counted_by_outcome():
    tally = Tally()
    fleet = Fleet(FakeDriver({"echo:1": lambda payload: payload, "broken:1": None}), tally)
    await fleet.ensure(MINE, SPEC)
    with pytest.raises(InitFailedError):
        await fleet.ensure(
            Identity(owner_id="me", worker_id="w2"), FunctionSpec(name="bad", image="broken:1")
        )
    assert tally.starts == {("echo", "ready"): 1, ("bad", "init_failed"): 1}
