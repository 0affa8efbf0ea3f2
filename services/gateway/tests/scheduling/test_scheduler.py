import asyncio
import json

import pytest
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.deployment import Box, Deployment
from esb_gateway.errors import CallError, InfrastructureError, ThrottledError
from esb_gateway.scheduling.expressions import parse_expression
from esb_gateway.scheduling.scheduler import Scheduler
from esb_gateway.scheduling.schedules import Schedule
from esb_gateway.stats import GatewayStats
from esb_gateway.tracing import Ids


class FakeQueue:
    """Takes events, or says it is full."""

    def __init__(self) -> None:
        self.events: list[QueuedEvent] = []
        self.full: CallError | None = None
        self.fired: dict[str, float] = {}
        self.schedules_done: dict[str, float] = {}

    @property
    def pending(self) -> int:
        return len(self.events)

    def keep_schedules(self, done: dict[str, float]) -> None:
        self.schedules_done = done

    async def fire(self, schedule: str, moment: float, event: QueuedEvent) -> bool:
        if self.full is not None:
            raise self.full
        if self.fired.get(schedule, 0.0) >= moment:
            return False
        self.fired[schedule] = moment
        self.events.append(event)
        return True


@pytest.fixture
def setup(fake_time, log):
    queue, stats = FakeQueue(), GatewayStats()
    scheduler = Scheduler(Box(), queue, stats, log, clock=fake_time.clock(), ids=Ids())
    return scheduler, queue, stats


def deployment(*schedules: Schedule) -> Deployment:
    return Deployment(Box(), schedules=schedules)


MINUTELY = Schedule("clean", "rate(1 minute)", parse_expression("rate(1 minute)"))


async def test_what_is_due_is_put_into_the_queue(setup, fake_time):
    scheduler, queue, stats = setup
    scheduler.adopt(deployment(MINUTELY))
    await scheduler.fire_due()
    assert queue.events == []
    fake_time.value += 60
    await scheduler.fire_due()
    await scheduler.fire_due()
    assert [event.function for event in queue.events] == ["clean"]
    assert json.loads(queue.events[0].call.body)["detail-type"] == "Scheduled Event"
    assert (stats.schedules_fired, stats.schedules_missed) == (1, 0)


async def test_of_the_times_passed_asleep_the_latest_fires(setup, fake_time, log):
    scheduler, queue, stats = setup
    scheduler.adopt(deployment(MINUTELY))
    fake_time.value += 3600
    await scheduler.fire_due()
    await scheduler.fire_due()
    assert (len(queue.events), stats.schedules_missed) == (1, 1)
    assert log.events() == ["schedule missed", "schedule fired"]


@pytest.mark.parametrize("trouble", [ThrottledError("full"), InfrastructureError("disk full")])
async def test_what_the_queue_does_not_take_stays_due_for_a_while(setup, fake_time, trouble):
    scheduler, queue, stats = setup
    scheduler.adopt(deployment(MINUTELY))
    fake_time.value += 60
    queue.full = trouble
    assert not await scheduler.fire_due()
    fake_time.value += 10
    queue.full = None
    assert await scheduler.fire_due()
    assert (len(queue.events), stats.schedules_fired, stats.schedules_missed) == (1, 1, 0)


async def test_a_time_that_an_earlier_run_took_is_not_fired_again(setup, fake_time):
    scheduler, queue, stats = setup
    scheduler.adopt(deployment(MINUTELY))
    queue.fired[MINUTELY.key] = fake_time.value + 60
    fake_time.value += 60
    assert await scheduler.fire_due()
    assert (queue.events, stats.schedules_fired) == ([], 0)


async def test_a_new_generation_is_looked_at_at_once(setup, fake_time):
    scheduler, queue, _ = setup
    step = asyncio.create_task(scheduler.step())
    await asyncio.sleep(0)
    scheduler.adopt(deployment(MINUTELY))
    await asyncio.wait_for(step, 1)
    fake_time.value += 60
    await scheduler.fire_due()
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
