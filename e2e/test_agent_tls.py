"""The box's own certificates between a real agent on TCP and the gateway's client, renewed while both run."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from esb_gateway.workers.agent import AgentRefusedError, AgentUnavailableError
from esb_gateway.workers.agent_channel import AgentTls
from esb_gateway.workers.agent_grpc import GrpcAgent


def certs(*arguments):
    command = [sys.executable, "-m", "esb_node", "certs", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running_agent(tmp_path, **environment):
    port = free_port()
    log = tmp_path / "agent.log"
    environment = {
        "PATH": os.environ["PATH"],
        "ESB_AGENT_ADDRESS": f"tcp:127.0.0.1:{port}",
        "ESB_AGENT_STATE_DIR": str(tmp_path / "state"),
        "ESB_IMAGE_LAYOUT": str(tmp_path / "images"),
        **environment,
    }
    with log.open("wb") as stderr:
        agent = subprocess.Popen([sys.executable, "-m", "esb_agent"], env=environment, stderr=stderr)
    try:
        deadline = time.monotonic() + 20
        while "agent ready" not in log.read_text() and agent.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert agent.poll() is None, log.read_text()
        yield f"tcp:127.0.0.1:{port}", log
    finally:
        agent.terminate()
        agent.wait(15)


def agent_files(directory):
    return {
        "ESB_AGENT_TLS_CERT": str(directory / "agent.crt"),
        "ESB_AGENT_TLS_KEY": str(directory / "agent.key"),
        "ESB_AGENT_TLS_CA": str(directory / "ca.crt"),
    }


def gateway_files(directory):
    return AgentTls(
        certificate=directory / "gateway.crt", key=directory / "gateway.key", authority=directory / "ca.crt"
    )


def ask(address, tls, owner="box-1"):
    async def health():
        client = GrpcAgent(address, owner, tls)
        try:
            return await client.health()
        finally:
            await client.close()

    return asyncio.run(health())


def test_certificates_are_made_used_and_renewed_while_agent_and_gateway_run(tmp_path):
    made, others = tmp_path / "certs", tmp_path / "others"
    certs("init", "--dir", made, "--owner", "box-1")
    certs("init", "--dir", others, "--owner", "box-1")

    async def follow(address):
        client = GrpcAgent(address, "box-1", gateway_files(made))
        assert (await client.health()).serving
        for renewal in (["renew"], ["renew", "--ca"], ["renew"]):
            await asyncio.to_thread(certs, renewal[0], "--dir", made, *renewal[1:])
            assert (await client.health()).serving
        await client.close()

    with running_agent(tmp_path, **agent_files(made)) as (address, log):
        asyncio.run(follow(address))
        assert log.read_text().count("certificates loaded again") == 3
        assert ask(address, gateway_files(made)).serving
        with pytest.raises(AgentRefusedError, match="PERMISSION_DENIED"):
            ask(address, gateway_files(made), owner="box-2")
        for wrong in (gateway_files(others), None):
            with pytest.raises(AgentUnavailableError):
                ask(address, wrong)


def test_on_a_trusted_network_by_name_it_goes_without(tmp_path):
    with running_agent(tmp_path, ESB_AGENT_TLS="off-trusted-network") as (address, log):
        assert ask(address, None).serving
        assert "serving in the clear" in log.read_text()
