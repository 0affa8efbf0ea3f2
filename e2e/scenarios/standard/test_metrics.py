"""Metrics: of calls, and of workers."""

from __future__ import annotations

from typing import Any

from scenario.box import Box
from scenario.client import Client


def value(client: Client, series: str) -> float:
    lines = client.get("/metrics").body.decode().splitlines()
    found = [line for line in lines if line.startswith(f"{series} ")]
    assert len(found) == 1, [line for line in lines if line.startswith(series.partition("{")[0])]
    return float(found[0].rpartition(" ")[2])


def test_a_call_is_counted(client: Client, invoke: Any) -> None:
    invoke("echo")
    before = value(client, 'esb_gateway_invocations_total{function="echo"}')
    invoke("echo")
    assert value(client, 'esb_gateway_invocations_total{function="echo"}') == before + 1
    assert value(client, "esb_gateway_agent_up") == 1


def test_workers_are_shown_with_what_they_use(box: Box, invoke: Any) -> None:
    invoke("echo")
    shown = [worker for worker in box.view("containers")["containers"] if worker["function"] == "echo"]
    assert shown
    for worker in shown:
        assert worker["usage"].get("rss_bytes", 0) > 0, worker
