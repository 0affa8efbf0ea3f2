import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import define, field
from esb_gateway.async_invoke.durable_queue import DurableEventQueue
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_rows import StoredEvent
from esb_gateway.async_invoke.event_store import open_store
from esb_gateway.async_invoke.event_tools import EventTools
from esb_gateway.async_invoke.failures import Rules
from esb_gateway.background import Background
from esb_gateway.errors import InfrastructureError, ThrottledError
from esb_gateway.stats import GatewayStats
from esb_gateway.tracing import Ids
from esb_gateway.workers.invoker import Answer, Call

OK, FAILED = Answer(b"{}"), Answer(b'{"errorType": "KeyError"}', "Unhandled")


async def succeed(event: StoredEvent, body: bytes) -> Answer:
    return OK


async def always_fail(event: StoredEvent, body: bytes) -> Answer:
    return FAILED


@define
class FakeRunner:
    """Runs events as it is told; `widths` are functions that may not run two at once."""

    do: Callable[[StoredEvent, bytes], Awaitable[Answer]] = succeed
    widths: dict[str, int] = field(factory=dict)
    own_rules: dict[str, Rules] = field(factory=dict)
    ran: list[tuple[str, bytes]] = field(factory=list)

    async def run(self, event: StoredEvent, body: bytes, patience: float) -> Answer:
        self.ran.append((event.request_id, body))
        return await self.do(event, body)

    def width(self, function: str) -> int:
        return self.widths.get(function, 2)

    def rules(self, function: str) -> Rules:
        return self.own_rules.get(function, Rules())

    def arn(self, function: str) -> str:
        return f"arn:{function}"

    @property
    def ids(self) -> list[str]:
        return [request_id for request_id, _ in self.ran]


@define
class Box:
    queue: DurableEventQueue
    runner: FakeRunner
    stats: GatewayStats
    time: object
    directory: Path

    async def put(self, number: int, function: str = "f", body: bytes = b"{}") -> None:
        await self.queue.accept(QueuedEvent(function, Call(str(number), "Root=1", "", body), self.time.now()))

    async def after(self, seconds: float) -> None:
        self.time.value += seconds
        self.queue.tick()
        await self.settled()

    async def settled(self) -> None:
        """Until nothing runs and the writer has done all that was asked for."""
        if self.queue._running:
            await asyncio.wait(set(self.queue._running))
            await self.settled()
        await self.queue._writer.do(lambda store: None)

    async def dead(self) -> list[tuple[str, str, int]]:
        letters = await self.queue._writer.do(lambda store: store.graveyard.letters(0, 100, None))
        return [(letter.request_id, letter.condition, letter.attempts) for letter in letters]


@pytest.fixture
def start(tmp_path, log, fake_time):
    @asynccontextmanager
    async def run(runner: FakeRunner | None = None, limit: int = 100, dead_letter_limit: int = 100):
        runner, stats, background = runner or FakeRunner(), GatewayStats(), Background(log)
        queue = DurableEventQueue(
            open_store(tmp_path),
            runner,
            EventTools(stats, fake_time.clock(), Ids(), log, background.start),
            limit=limit,
            dead_letter_limit=dead_letter_limit,
            retry_seconds=60.0,
        )
        queue.load()
        queue.start()
        try:
            yield Box(queue, runner, stats, fake_time, tmp_path)
        finally:
            await queue.drain(0.0)
            await background.settle(1.0)

    return run


async def test_events_are_delivered_in_order_and_no_more_at_once_than_the_function_has_workers(start):
    running, most = 0, 0

    async def count(event: StoredEvent, body: bytes) -> Answer:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return OK

    async with start(FakeRunner(count, widths={"f": 3})) as box:
        await asyncio.gather(*(box.put(number) for number in range(20)))
        await box.settled()
        assert box.runner.ids == [str(number) for number in range(20)]
        assert most == 3
        assert (box.stats.events_accepted, box.stats.events_delivered, box.queue.pending) == (20, 20, 0)
    async with start() as box:
        assert (box.queue.pending, box.runner.ran) == (0, [])


async def test_a_full_queue_throttles_also_while_it_stores(start):
    gate = asyncio.Event()

    async def hold(event: StoredEvent, body: bytes) -> Answer:
        await gate.wait()
        return OK

    async with start(FakeRunner(hold), limit=2) as box:
        results = await asyncio.gather(*(box.put(number) for number in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), type(None), ThrottledError]
        with pytest.raises(ThrottledError, match="2 events wait"):
            await box.put(3)
        gate.set()
        await box.settled()
        await box.put(4)


async def test_what_was_not_brought_to_an_end_is_delivered_after_a_restart(start):
    gate = asyncio.Event()

    async def hold(event: StoredEvent, body: bytes) -> Answer:
        await gate.wait()
        return OK

    async with start(FakeRunner(hold, widths={"f": 2})) as box:
        for number in range(5):
            await box.put(number, body=b'{"n": %d}' % number)
    async with start() as box:
        await box.settled()
        assert box.runner.ran == [(str(number), b'{"n": %d}' % number) for number in range(5)]


async def test_an_event_whose_caller_was_cancelled_while_it_was_stored_is_delivered(start):
    async with start() as box:
        task = asyncio.create_task(box.put(1))
        await asyncio.sleep(0)
        task.cancel()
        await box.settled()
        await box.settled()
        assert box.runner.ids == ["1"]


async def test_a_functions_error_is_tried_twice_more_and_then_buried(start):
    async with start(FakeRunner(always_fail)) as box:
        await box.put(1)
        await box.settled()
        assert len(box.runner.ran) == 1
        await box.after(59)
        assert len(box.runner.ran) == 1
        await box.after(1)
        assert len(box.runner.ran) == 2
        await box.after(119)
        assert len(box.runner.ran) == 2
        await box.after(1)
        assert len(box.runner.ran) == 3
        assert await box.dead() == [("1", "RetriesExhausted", 3)]
        assert (box.queue.pending, box.stats.events_dead, box.stats.events_retried) == (0, 1, 2)


async def test_retries_go_on_after_a_restart_where_they_were(start):
    async with start(FakeRunner(always_fail)) as box:
        await box.put(1)
        await box.settled()
        await box.after(60)
    async with start(FakeRunner(always_fail)) as box:
        await box.after(100)
        assert box.runner.ran == []
        await box.after(20)
        assert len(box.runner.ran) == 1
        assert await box.dead() == [("1", "RetriesExhausted", 3)]


async def test_what_the_box_could_not_run_is_tried_with_growing_pauses_until_it_is_too_old(start):
    async def away(event: StoredEvent, body: bytes) -> Answer:
        raise InfrastructureError("agent away")

    runner = FakeRunner(away, own_rules={"f": Rules(max_age=100.0)})
    async with start(runner) as box:
        await box.put(1)
        await box.settled()
        for pause in (1, 2, 4, 8, 16, 32):
            before = len(box.runner.ran)
            await box.after(pause - 0.5)
            assert len(box.runner.ran) == before
            await box.after(0.5)
            assert len(box.runner.ran) == before + 1
        await box.after(100)
        assert await box.dead() == [("1", "EventAgeExceeded", 0)]


async def test_nobody_waits_behind_an_event_that_waits_for_its_next_try(start):
    async def fail_first(event: StoredEvent, body: bytes) -> Answer:
        return FAILED if event.request_id == "0" else OK

    async with start(FakeRunner(fail_first, widths={"f": 1})) as box:
        for number in range(3):
            await box.put(number)
        await box.settled()
        assert box.runner.ids == ["0", "1", "2"]
        assert box.queue.pending == 1


async def test_functions_do_not_wait_for_each_other(start):
    gate = asyncio.Event()

    async def slow(event: StoredEvent, body: bytes) -> Answer:
        if event.function == "slow":
            await gate.wait()
        return OK

    async with start(FakeRunner(slow, widths={"slow": 1})) as box:
        for number in range(3):
            await box.put(number, "slow")
        await box.put(9, "fast")
        await asyncio.sleep(0)
        assert box.runner.ids == ["0", "9"]
        assert box.queue.pending_by_function() == {"slow": 3}


async def test_events_of_a_function_that_is_gone_wait_for_its_return(start):
    async with start(FakeRunner(widths={"f": 0})) as box:
        await box.put(1)
        await box.after(3600)
        assert (box.runner.ran, box.queue.pending, box.queue.oldest_age) == ([], 1, 3600)
        box.runner.widths["f"] = 1
        box.queue.look_again()
        await box.settled()
        assert box.runner.ids == ["1"]


async def test_events_of_a_function_that_stays_away_are_buried_at_their_age(start):
    async with start(FakeRunner(widths={"f": 0})) as box:
        await box.put(1)
        await box.after(6 * 3600 - 1)
        assert await box.dead() == []
        await box.after(2)
        assert await box.dead() == [("1", "EventAgeExceeded", 0)]
        assert box.queue.pending == 0


async def test_the_on_failure_function_gets_the_record_instead(start):
    async def fail_f(event: StoredEvent, body: bytes) -> Answer:
        return FAILED if event.function == "f" else OK

    rules = Rules(max_retries=0, on_failure="cleanup")
    async with start(FakeRunner(fail_f, own_rules={"f": rules})) as box:
        await box.put(1, body=b'{"order": 7}')
        await box.settled()
        await box.settled()
        assert box.runner.ids[0] == "1"
        record = json.loads(box.runner.ran[1][1])
        assert record["requestContext"] == {
            "requestId": "1",
            "functionArn": "arn:f",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1,
        }
        assert (record["requestPayload"], record["responsePayload"]) == (
            {"order": 7},
            {"errorType": "KeyError"},
        )
        assert (await box.dead(), box.queue.pending) == ([], 0)


async def test_records_that_fail_or_have_nowhere_to_go_are_buried(start):
    rules = {"f": Rules(max_retries=0, on_failure="g"), "g": Rules(max_retries=0, on_failure="f")}
    async with start(FakeRunner(always_fail, own_rules=rules)) as box:
        await box.put(1)
        await box.settled()
        await box.settled()
        assert len(box.runner.ran) == 2
        assert len(await box.dead()) == 1
        box.runner.widths["g"] = 0
        await box.put(2)
        await box.settled()
        assert (await box.dead())[1] == ("2", "RetriesExhausted", 1)


async def test_a_disk_that_takes_nothing_fails_accepts_and_loses_no_result(start, log, helpers, monkeypatch):
    monkeypatch.setattr("esb_gateway.async_invoke.sure_writes._STORE_PAUSE", 0.0)
    async with start(FakeRunner(always_fail)) as box:
        db = box.queue._store._db
        box.runner.own_rules["f"] = Rules(max_retries=0)
        box.runner.widths["f"] = 0
        await box.put(1)
        db.execute("PRAGMA query_only = ON")
        with pytest.raises(InfrastructureError, match="could not be stored"):
            await box.put(2)
        box.runner.widths["f"] = 1
        box.queue.look_again()
        await helpers.eventually(lambda: "events not written" in log.events())
        assert box.queue.pending == 1
        db.execute("PRAGMA query_only = OFF")
        await box.settled()
        assert await box.dead() == [("1", "RetriesExhausted", 1)]
        assert box.stats.event_store_failures >= 2


async def test_what_is_written_late_does_not_undo_what_was_written_since(start, helpers, monkeypatch):
    """The first failure can't be written, the second can; the first, done again, says what holds by then."""
    monkeypatch.setattr("esb_gateway.async_invoke.sure_writes._STORE_PAUSE", 0.05)
    async with start(FakeRunner(always_fail, widths={"f": 0})) as box:
        await box.put(1)
        box.queue._store._db.execute("PRAGMA query_only = ON")
        box.queue.keep_schedules({"old": 1.0})
        box.runner.widths["f"] = 1
        box.queue.look_again()
        await helpers.eventually(lambda: box.stats.event_store_failures >= 2)
        box.queue._store._db.execute("PRAGMA query_only = OFF")
        box.queue.keep_schedules({"new": 2.0})
        await box.after(60)
        await asyncio.sleep(0.1)
        ((seq, attempts),) = box.queue._store._db.execute("SELECT seq, attempts FROM events")
        assert (seq, attempts) == (1, 2)
        assert box.queue._store.schedules() == {"new": 2.0}


async def test_thousands_that_wait_for_the_disk_complain_once(start, log, helpers):
    async with start(FakeRunner(always_fail, widths={"f": 50})) as box:
        box.runner.widths["f"] = 0
        for number in range(50):
            await box.put(number)
        box.queue._store._db.execute("PRAGMA query_only = ON")
        box.runner.widths["f"] = 50
        box.queue.look_again()
        await helpers.eventually(lambda: box.stats.event_store_failures >= 50)
        box.queue._store._db.execute("PRAGMA query_only = OFF")
        assert log.events().count("events not written") == 1


async def test_a_bug_in_giving_up_is_no_endless_loop(start, log):
    class Nameless(FakeRunner):
        def arn(self, function: str) -> str:
            raise KeyError(function)

    runner = Nameless(always_fail, own_rules={"f": Rules(max_age=60.0, on_failure="g")})
    async with start(runner) as box:
        await box.put(1)
        await box.settled()
        await box.after(61)
        before = log.events().count("event set back")
        for _ in range(5):
            await box.after(0.01)
        assert log.events().count("event set back") == before == 1
        assert box.queue.pending == 1


async def test_what_comes_after_the_stop_is_refused_and_takes_no_room(start):
    async with start(limit=1) as box:
        await box.queue.drain(0.0)
        for _ in range(3):
            with pytest.raises(InfrastructureError, match="could not be stored"):
                await box.put(1)


async def test_a_retry_is_on_time_however_long_the_loop_meant_to_sleep(start):
    async def away(event: StoredEvent, body: bytes) -> Answer:
        raise InfrastructureError("agent away")

    async with start(FakeRunner(away)) as box:
        sleeping = asyncio.create_task(box.queue.step())
        await asyncio.sleep(0)
        await box.put(1)
        await asyncio.wait_for(sleeping, 2)


async def test_a_clock_set_back_neither_hurries_nor_holds_up_a_retry(start):
    async with start(FakeRunner(always_fail)) as box:
        await box.put(1)
        await box.settled()
        box.time.value -= 7200
    async with start(FakeRunner(always_fail)) as box:
        await box.after(59)
        assert box.runner.ran == []
        await box.after(1)
        assert len(box.runner.ran) == 1


async def test_bodies_beyond_what_memory_holds_come_from_the_disk(start, monkeypatch):
    monkeypatch.setattr("esb_gateway.async_invoke.event_lines._BODIES_IN_MEMORY", 10)
    async with start() as box:
        for number in range(3):
            await box.put(number, body=b'"%d67890"' % number)
        await box.settled()
        assert [body for _, body in box.runner.ran] == [b'"067890"', b'"167890"', b'"267890"']


async def bury_all(box: Box, count: int) -> None:
    for number in range(count):
        await box.put(number)
    await box.settled()
    assert len(await box.dead()) == min(count, 100)


async def test_a_replay_of_all_takes_what_there_is_room_for_and_nothing_twice(start):
    async with start(FakeRunner(always_fail, own_rules={"f": Rules(max_retries=0)}), 200, 1000) as box:
        await bury_all(box, 130)
        # Each dies again while the others are replayed: those are left alone.
        assert await box.queue.dead_letters.replay_all() == 130
        await box.settled()
        assert len(box.runner.ran) == 260
        assert box.stats.events_replayed == 130
        box.runner.widths["f"] = 0
        for number in range(90):
            await box.put(number)
        assert await box.queue.dead_letters.replay_all() == 110
        assert box.queue.pending == 200
        with pytest.raises(ThrottledError):
            await box.queue.dead_letters.replay_all()
        with pytest.raises(ThrottledError):
            await box.queue.dead_letters.replay("1")
