"""Services that end: calls and events survive, and no worker is left that nobody knows."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from scenario.box import Box
from scenario.client import until

ENDINGS = [signal.SIGTERM, signal.SIGKILL]


@pytest.fixture(autouse=True)
def reconciled(box: Box) -> Any:
    """Whatever was ended: soon engine and gateway have the same workers again."""
    yield
    until(lambda: box.engine.workers() == box.workers(), "engine and gateway have the same workers", 90)


@pytest.mark.parametrize("number", ENDINGS)
def test_a_gateway_that_ends_leaves_its_workers_to_the_next(
    box: Box, invoke: Any, number: signal.Signals
) -> None:
    before = invoke("scale")["worker"]
    box.restart("gateway", number)
    assert invoke("scale")["worker"] == before


@pytest.mark.parametrize("number", ENDINGS)
def test_an_agent_that_ends_is_missed_by_no_call(box: Box, invoke: Any, number: signal.Signals) -> None:
    invoke("scale")
    box.restart("agent", number)
    assert invoke("scale")["worker"]


def test_an_event_that_was_accepted_survives_the_gateway(
    box: Box, lambdas: Any, rows: Callable[[str], Any]
) -> None:
    kind = uuid.uuid4().hex
    accepted = []
    for _ in range(10):
        answer = lambdas.invoke(
            FunctionName="record", InvocationType="Event", Payload=json.dumps({"kind": kind})
        )
        accepted.append(f"{kind}/{answer['ResponseMetadata']['RequestId']}")
    box.restart("gateway", signal.SIGKILL)
    until(lambda: {row["id"] for row in rows(kind)} == set(accepted), "a row for each event", 60)
