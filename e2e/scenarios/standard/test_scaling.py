"""Workers: as many as calls need and the function may have; none when nobody calls."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scenario.box import Box
from scenario.client import until

MOST = 3


def test_a_function_grows_with_its_calls_to_the_most_and_back_to_nothing(box: Box, invoke: Any) -> None:
    with ThreadPoolExecutor(2 * MOST) as threads:
        said = list(threads.map(lambda _: invoke("scale", seconds=0.7), range(2 * MOST)))
    assert 2 <= len({answer["worker"] for answer in said}) <= MOST
    assert 2 <= box.alive("scale") <= MOST
    until(lambda: box.alive("scale") == 0, "no worker is left", 60)
    until(lambda: box.workers("scale") == [], "the agent has none either")
    until(lambda: box.engine.workers() == box.workers(), "nor has the engine")
    assert invoke("scale")["worker"]


def test_calls_beyond_the_most_wait_in_line(lambdas: Any) -> None:
    def call(_: int) -> Any:
        answer = lambdas.invoke(FunctionName="scale", Payload=json.dumps({"seconds": 0.2}))
        return "FunctionError" in answer, json.load(answer["Payload"])

    with ThreadPoolExecutor(12) as threads:
        said = list(threads.map(call, range(24)))
    assert not [answer for failed, answer in said if failed]
    assert len({answer["worker"] for _, answer in said}) <= MOST
