import asyncio
import json

import pytest
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.deployment import Box, Deployment
from esb_gateway.errors import ThrottledError
from esb_gateway.scheduling.cron import parse_expression
from esb_gateway.scheduling.scheduler import Scheduler
from esb_gateway.scheduling.schedules import Schedule
from esb_gateway.stats import GatewayStats
from esb_gateway.tracing import Ids


class FakeQueue:
    """Takes events, or says it is full."""

    def __init__(self) -> None:
        self.events: list[QueuedEvent] = []
        self.full = False

    @property
    def pending(self) -> int:
        return len(self.events)

    def put(self, event: QueuedEvent) -> None:
        if self.full:
            raise ThrottledError("full")
        self.events.append(event)

    async def drain(self, within: float) -> int:
        return 0


@pytest.fixture
def setup(fake_time, log):
    queue, stats = FakeQueue(), GatewayStats()
    scheduler = Scheduler(Box(), queue, stats, log, clock=fake_time.clock(), ids=Ids())
    return scheduler, queue, stats


def deployment(*schedules: Schedule) -> Deployment:
    return Deployment(Box(), schedules=schedules)


MINUTELY = Schedule("clean", "rate(1 minute)", parse_expression("rate(1 minute)"))


def test_what_is_due_is_put_into_the_queue(setup, fake_time):
    scheduler, queue, stats = setup
    scheduler.adopt(deployment(MINUTELY))
    scheduler.fire_due()
    assert queue.events == []
    fake_time.value += 60
    scheduler.fire_due()
    scheduler.fire_due()
    assert [event.function for event in queue.events] == ["clean"]
    assert json.loads(queue.events[0].call.body)["detail-type"] == "Scheduled Event"
    assert (stats.schedules_fired, stats.schedules_missed) == (1, 0)


def test_times_passed_asleep_and_a_full_queue_are_misses(setup, fake_time, log):
    scheduler, queue, stats = setup
    scheduler.adopt(deployment(MINUTELY))
    fake_time.value += 3600
    scheduler.fire_due()
    queue.full = True
    fake_time.value += 60
    scheduler.fire_due()
    assert (queue.events, stats.schedules_missed) == ([], 2)
    assert log.events() == ["schedule missed", "schedule missed"]


async def test_a_new_generation_is_looked_at_at_once(setup, fake_time):
    scheduler, queue, _ = setup
    step = asyncio.create_task(scheduler.step())
    await asyncio.sleep(0)
    scheduler.adopt(deployment(MINUTELY))
    await asyncio.wait_for(step, 1)
    fake_time.value += 60
    scheduler.fire_due()
    assert len(queue.events) == 1


async def test_a_schedule_reaches_its_function(gateway, agent, helpers, fake_time):
    functions = {
        "clean": {"image": "x", "events": [{"schedule": {"rate": "rate(1 minute)", "input": '{"depth": 3}'}}]}
    }
    async with gateway(functions, deps={"clock": fake_time.clock()}) as box:
        fake_time.value += 60
        # Any change wakes the scheduler; otherwise it looks every few seconds.
        helpers.write_generation(box.config_dir, 1, {"functions": functions})
        await helpers.eventually(lambda: agent.seen)
    assert [seen.event for seen in agent.seen] == [{"depth": 3}]
