"""Prometheus text of all workers."""

import asyncio

import pytest
from esb_agent.errors import ConfigError
from esb_agent.metrics import measure, serve_metrics
from esb_agent.model import FunctionSpec, Identity
from esb_agent.tally import Tally
from esb_agent.testing import FakeDriver


@pytest.fixture
async def driver():
    driver = FakeDriver({"echo:1": lambda payload: payload})
    for name in ("w1", "w2"):
        await driver.create(Identity(owner_id="me", worker_id=name), FunctionSpec(name="f", image="echo:1"))
    driver.crash("w2", "exit status 1")
    return driver


async def test_workers_are_counted_by_state_and_living_ones_measured(driver):
    driver.invoke("unix:/fake/w1", b"1")
    text = (await measure(driver, Tally())).decode()
    assert 'esb_agent_workers{function="f",state="ready"} 1.0' in text
    assert 'esb_agent_workers{function="f",state="exited"} 1.0' in text
    assert 'esb_worker_resident_bytes{function="f",worker="w1"} 1024.0' in text
    assert 'esb_worker_invocations_total{function="f",worker="w1"} 1.0' in text
    assert 'worker="w2"' not in text


@pytest.mark.parametrize(("path", "status"), [("/metrics", "200 OK"), ("/", "404 Not Found")])
async def test_they_are_served(driver, path, status):
    server = await serve_metrics(driver, Tally(), 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(f"GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    assert text.startswith(f"HTTP/1.1 {status}\r\n")
    assert ("esb_agent_workers" in text) == (path == "/metrics")
    writer.close()
    server.close()


async def test_a_port_in_use_is_told(driver):
    server = await serve_metrics(driver, Tally(), 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ConfigError, match=f"port {port} cannot be listened on"):
        await serve_metrics(driver, Tally(), port)
    server.close()


async def test_what_happened_since_the_start_is_counted(driver):
    tally = Tally()
    tally.starts["f", "ready"] += 2
    tally.ended["f", "timeout"] += 1
    tally.calls["f"] += 7
    tally.collected += 1
    tally.init_seconds.labels("f").observe(0.03)
    text = (await measure(driver, tally)).decode()
    assert 'esb_agent_worker_starts_total{function="f",outcome="ready"} 2.0' in text
    assert 'esb_agent_workers_ended_total{cause="timeout",function="f"} 1.0' in text
    assert 'esb_agent_calls_total{function="f"} 7.0' in text
    assert "esb_agent_workers_collected_total 1.0" in text
    assert 'esb_agent_init_seconds_bucket{function="f",le="0.05"} 1.0' in text
