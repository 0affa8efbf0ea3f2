import pytest
from esb_gateway.background import Background
from esb_gateway.workers.agent import AgentRefusedError, AgentUnavailableError, WorkerSpec
from esb_gateway.workers.bring_up import bring_up
from esb_gateway.workers.worker import PoolTools
from esb_gateway.workers.worker_channel import WorkerUnreachedError

SPEC = WorkerSpec(function="f", image="f:1")


@pytest.fixture
def tools(agent, log, fake_time) -> PoolTools:
    return PoolTools(
        agent=agent,
        open_channel=agent.open_channel,
        new_worker_id=str,
        monotonic=fake_time.now,
        background=Background(log).start,
        warn=log.warning,
    )


async def test_a_start_is_tried_again_under_its_id_as_long_as_it_is_awaited(tools, agent):
    agent.down = AgentUnavailableError("away")
    reasons: list[str] = []

    def put_off(reason: str) -> None:
        reasons.append(reason)
        if len(reasons) == 2:
            agent.down = None

    worker = await bring_up(tools, SPEC, "w", awaited=lambda: True, put_off=put_off)
    assert (worker.worker_id, agent.started, reasons) == ("w", ["w", "w", "w"], ["away", "away"])


async def test_a_start_that_nobody_awaits_fails_at_once(tools, agent):
    agent.down = AgentUnavailableError("away")
    with pytest.raises(AgentUnavailableError):
        await bring_up(tools, SPEC, "w", awaited=lambda: False, put_off=lambda _: pytest.fail("put off"))
    assert agent.started == ["w"]


async def test_a_refusal_is_final(tools, agent):
    agent.down = AgentRefusedError("no such image")
    with pytest.raises(AgentRefusedError):
        await bring_up(tools, SPEC, "w", awaited=lambda: True, put_off=lambda _: pytest.fail("put off"))


async def test_a_worker_nobody_reaches_is_given_up_after_three_tries(tools, agent):
    agent.unreachable = {"w"}
    reasons: list[str] = []
    with pytest.raises(WorkerUnreachedError):
        await bring_up(tools, SPEC, "w", awaited=lambda: True, put_off=reasons.append)
    assert len(reasons) == 2
