import asyncio

import pytest
from esb_gateway.workers.agent import AgentRefusedError, AgentUnavailableError, WorkerSpec
from esb_gateway.workers.prefetch import Image, Prefetch


@pytest.fixture
def prefetch(agent, log, fake_time) -> Prefetch:
    return Prefetch(agent, log, fake_time.now)


def specs(*refs: str) -> list[WorkerSpec]:
    return [WorkerSpec(f"f{number}", ref) for number, ref in enumerate(refs)]


async def test_each_image_is_fetched_once_for_each_sandbox(agent, prefetch):
    prefetch.adopt([*specs("b", "a", "b"), WorkerSpec("g", "a", sandbox="gvisor")])
    assert (prefetch.there, prefetch.missing) == (
        0,
        {Image("a", ""): None, Image("a", "gvisor"): None, Image("b", ""): None},
    )
    for _ in range(3):
        await prefetch.step()
    assert agent.fetched == [("a", ""), ("a", "gvisor"), ("b", "")]
    assert (prefetch.there, prefetch.missing) == (3, {})


async def test_one_that_fails_keeps_no_other_and_is_tried_again_ever_less_often(
    agent, log, fake_time, prefetch
):
    agent.unfetched["a"] = AgentUnavailableError("no registry")
    prefetch.adopt(specs("a", "b"))
    tried = []
    for second in range(200):
        asked = len(agent.fetched)
        await prefetch.step()
        if len(agent.fetched) > asked:
            tried.append(second)
        fake_time.value += 1
    assert tried == [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert agent.fetched.count(("b", "")) == 1
    assert (prefetch.there, prefetch.missing) == (1, {Image("a", ""): "no registry"})
    assert log.lines == [("image not at hand", {"image": "a", "error": "no registry"})]
    del agent.unfetched["a"]
    fake_time.value += 60
    await prefetch.step()
    assert (prefetch.there, prefetch.missing, log.events()[1:]) == (2, {}, ["image at hand after all"])


async def test_another_reason_is_told_too(agent, log, fake_time, prefetch):
    agent.unfetched["a"] = AgentUnavailableError("no registry")
    prefetch.adopt(specs("a"))
    await prefetch.step()
    agent.unfetched["a"] = AgentRefusedError("NOT_FOUND: a")
    fake_time.value += 1
    await prefetch.step()
    assert [fields["error"] for _, fields in log.lines] == ["no registry", "NOT_FOUND: a"]
    assert prefetch.missing == {Image("a", ""): "NOT_FOUND: a"}


async def test_a_new_generation_asks_for_what_is_new_at_once_and_forgets_what_is_gone(
    agent, fake_time, prefetch
):
    agent.unfetched["gone"] = AgentRefusedError("NOT_FOUND: gone")
    prefetch.adopt(specs("a", "gone"))
    await prefetch.step()
    prefetch.adopt(specs("a", "b"))
    await prefetch.step()
    assert agent.fetched == [("a", ""), ("gone", ""), ("b", "")]
    assert (prefetch.there, prefetch.missing) == (2, {})


async def test_a_generation_that_comes_during_a_fetch_is_looked_at_next(agent, prefetch):
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow(image: str, sandbox: str) -> None:
        agent.fetched.append((image, sandbox))
        begun.set()
        await release.wait()

    agent.ensure_image = slow
    prefetch.adopt(specs("a", "b"))
    step = asyncio.create_task(prefetch.step())
    await begun.wait()
    prefetch.adopt(specs("c"))
    release.set()
    await step
    assert (agent.fetched, prefetch.there) == ([("a", "")], 0)
    await prefetch.step()
    assert (agent.fetched[1:], prefetch.there, prefetch.missing) == ([("c", "")], 1, {})


async def test_images_that_somebody_removed_are_found_missing(agent, fake_time, prefetch):
    prefetch.adopt(specs("a"))
    await prefetch.step()
    fake_time.value += 599
    await prefetch.step()
    assert len(agent.fetched) == 1
    agent.unfetched["a"] = AgentRefusedError("NOT_FOUND: a")
    fake_time.value += 1
    await prefetch.step()
    assert (prefetch.there, prefetch.missing) == (0, {Image("a", ""): "NOT_FOUND: a"})
