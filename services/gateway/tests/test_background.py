import asyncio

from esb_gateway.background import Background


async def test_a_failing_task_is_logged(log):
    async def fail() -> None:
        raise ValueError("boom")

    background = Background(log)
    background.start(fail())
    await background.settle(1)
    assert log.events() == ["background task failed"]


async def test_settling_waits_for_tasks_that_tasks_start_and_cancels_what_takes_too_long(log):
    done = []
    background = Background(log)

    async def second() -> None:
        done.append("second")

    async def first() -> None:
        background.start(second())
        done.append("first")

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            done.append("cancelled")
            raise

    background.start(first())
    background.start(endless())
    await background.settle(0.05)
    assert done == ["first", "second", "cancelled"]


async def test_a_step_that_fails_is_logged_and_done_again(log, helpers):
    steps = []

    def step() -> None:
        steps.append(len(steps))
        if len(steps) == 1:
            raise ValueError("boom")

    background = Background(log)
    task = background.every(0, step)
    await helpers.eventually(lambda: len(steps) > 2)
    task.cancel()
    assert log.events() == ["background step failed"]
