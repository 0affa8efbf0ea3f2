import pytest
from esb_gateway.background import Background
from esb_gateway.workers.agent import AgentUnavailableError, WorkerSpec
from esb_gateway.workers.ledger import Ledger


@pytest.fixture
def ledger(agent, log) -> Ledger:
    return Ledger(agent, Background(log).start, log.warning)


async def test_a_worker_that_was_ended_is_forgotten(ledger, agent, helpers):
    agent.alive["w"] = WorkerSpec("f", "f:1")
    ledger.add("w")
    ledger.end("w")
    assert (ledger.known, ledger.doomed) == (set(), {"w"})
    await helpers.eventually(lambda: not ledger.doomed and not agent.alive)


async def test_one_that_could_not_be_ended_stays_doomed(ledger, agent, log, helpers):
    agent.down = AgentUnavailableError("away")
    ledger.end("w")
    await helpers.eventually(lambda: log.events() == ["worker not destroyed"])
    assert ledger.doomed == {"w"}
    ledger.forget("w")
    assert not ledger.doomed
