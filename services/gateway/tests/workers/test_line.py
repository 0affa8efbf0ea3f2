import asyncio

import pytest
from esb_gateway.errors import ThrottledError
from esb_gateway.workers.line import Line
from esb_gateway.workers.worker import Worker


@pytest.fixture
def line(fake_time):
    given_back: list[Worker] = []
    made = Line(fake_time.now, given_back.append)
    made.given_back = given_back
    return made


async def stand(line: Line, patience: float = 10) -> asyncio.Task[Worker]:
    waiting = line.wait(patience, joined=lambda: None, too_late=lambda: ThrottledError("late"))
    task = asyncio.create_task(waiting)
    await asyncio.sleep(0)
    return task


async def test_who_came_first_is_served_first(line, fake_time):
    first, second = await stand(line), await stand(line)
    workers = Worker("a", None), Worker("b", None)
    assert (len(line), line.since) == (2, fake_time.value)
    assert [line.serve(worker) for worker in (*workers, Worker("c", None))] == [True, True, False]
    assert await asyncio.gather(first, second) == list(workers)
    assert line.since is None


async def test_who_waits_in_vain_is_told_why_and_leaves(line):
    task = await stand(line, 0.01)
    with pytest.raises(ThrottledError, match="late"):
        await task
    assert len(line) == 0


async def test_who_goes_away_leaves_the_line_or_gives_back_what_it_was_handed(line):
    gone, handed = await stand(line), await stand(line)
    gone.cancel()
    await asyncio.sleep(0)
    assert len(line) == 1
    worker = Worker("a", None)
    line.serve(worker)
    handed.cancel()
    await asyncio.wait((gone, handed))
    assert line.given_back == [worker]


async def test_an_error_is_for_the_first_or_for_all(line):
    tasks = [await stand(line) for _ in range(3)]
    line.fail(ThrottledError("one"), first_only=True)
    line.fail(ThrottledError("all"))
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(error) for error in ended] == ["one", "all", "all"]
