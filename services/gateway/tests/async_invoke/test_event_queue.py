import asyncio

import pytest
from esb_gateway.async_invoke.event_queue import MAX_AGE_SECONDS, MemoryEventQueue, QueuedEvent
from esb_gateway.background import Background
from esb_gateway.errors import InfrastructureError, ThrottledError
from esb_gateway.stats import GatewayStats
from esb_gateway.workers.invoker import Call


def event(number: int, function: str = "f") -> QueuedEvent:
    return QueuedEvent(function, Call(str(number), "Root=1", "", b"{}"), accepted=0.0)


@pytest.fixture
def make(log, fake_time):
    def build(
        deliver, width: int = 2, limit: int = 100
    ) -> tuple[MemoryEventQueue, GatewayStats, list[float]]:
        stats, pauses = GatewayStats(), []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            fake_time.value += seconds
            await asyncio.sleep(0)

        fake_time.value = 0.0
        queue = MemoryEventQueue(
            deliver,
            lambda function: width,
            limit=limit,
            stats=stats,
            monotonic=fake_time.now,
            background=Background(log).start,
            sleep=sleep,
        )
        return queue, stats, pauses

    return build


async def test_events_are_delivered_in_order_and_no_more_at_once_than_the_function_has_workers(make):
    running, most, order = 0, 0, []

    async def deliver(event: QueuedEvent) -> None:
        nonlocal running, most
        order.append(event.call.request_id)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    queue, stats, _ = make(deliver, width=3)
    for number in range(20):
        queue.put(event(number))
    assert await queue.drain(5) == 0
    assert order == [str(number) for number in range(20)]
    assert most == 3
    assert (stats.events_accepted, stats.events_delivered) == (20, 20)


async def test_a_full_queue_throttles(make):
    gate = asyncio.Event()

    async def deliver(event: QueuedEvent) -> None:
        await gate.wait()

    queue, _, _ = make(deliver, limit=2)
    queue.put(event(1))
    queue.put(event(2))
    with pytest.raises(ThrottledError, match="2 events wait"):
        queue.put(event(3))
    assert await queue.drain(0.01) == 2
    gate.set()
    assert await queue.drain(5) == 0
    assert queue.pending == 0


async def test_what_the_box_could_not_run_is_tried_again_with_growing_pauses(make):
    tries = 0

    async def deliver(event: QueuedEvent) -> None:
        nonlocal tries
        tries += 1
        if tries < 5:
            raise InfrastructureError("agent away")

    queue, stats, pauses = make(deliver)
    queue.put(event(1))
    assert await queue.drain(5) == 0
    assert pauses == [1.0, 2.0, 4.0, 8.0]
    assert stats.events_delivered == 1


async def test_an_event_too_old_is_given_up(make):
    async def deliver(event: QueuedEvent) -> None:
        raise InfrastructureError("agent away")

    queue, stats, pauses = make(deliver)
    queue.put(event(1))
    assert await queue.drain(5) == 0
    assert (stats.events_dropped, stats.events_delivered) == (1, 0)
    assert max(pauses) == 60.0
    assert sum(pauses) <= MAX_AGE_SECONDS


async def test_functions_do_not_wait_for_each_other(make):
    gate, done = asyncio.Event(), []

    async def deliver(event: QueuedEvent) -> None:
        if event.function == "slow":
            await gate.wait()
        done.append(event.function)

    queue, _, _ = make(deliver, width=1)
    for number in range(3):
        queue.put(event(number, "slow"))
    queue.put(event(9, "fast"))
    await queue.drain(0.01)
    assert done == ["fast"]
    gate.set()
    assert await queue.drain(5) == 0
