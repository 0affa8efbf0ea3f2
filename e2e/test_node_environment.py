"""What `esb-node` hands to the services of a node, name by name, is what they read."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from esb_agent.config import parse_config
from esb_agent.drivers.containerd import settings
from esb_agent.drivers.containerd.settings import ContainerdConfig
from esb_node.box import UpRequest
from esb_node.containerd.identity import name_box
from esb_node.containerd.plan import RUNTIMES, NodeRequest, node_environment, plan_node
from esb_node.parts import AGENT

HOST = {"PROJECT_NAME": "shop_env", "ENV": "prod", "PATH": "/bin", "ESB_RUNSC_BINARY": "/opt/runsc"}
SUBNET = IPv4Network("10.77.0.0/16")
# Read by the unit of the gateway, which listens there.
GATEWAYS = {"ESB_BRIDGE_ADDRESS"}


class Noted(Mapping[str, str]):
    """An environment that knows what was asked of it."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_of, self.read = dict(values), set[str]()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return self.values_of[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_of)

    def __len__(self) -> int:
        return len(self.values_of)


def request(state: Path, runtime: str = "runc") -> NodeRequest:
    return NodeRequest(box=UpRequest(state), subnet=SUBNET, runtime=runtime)


def node_env(state: Path, runtime: str = "runc") -> dict[str, str]:
    return node_environment(request(state, runtime), name_box(state, state / "run", SUBNET, HOST), HOST)


def test_the_agent_reads_every_variable_of_node_env_but_the_gateways(tmp_path: Path) -> None:
    told = node_env(tmp_path)
    own = {"ESB_AGENT_ADDRESS": "unix:/a.sock", "ESB_AGENT_STATE_DIR": "/state"}
    seen = Noted(told | own)
    parse_config(seen, sys.executable)
    assert set(told) - seen.read == GATEWAYS


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_agent_of_a_box_understands_all_it_is_told(tmp_path: Path, runtime: str) -> None:
    made = plan_node(request(tmp_path, runtime), HOST)
    env = next(service.env for service in made.services if service.name == AGENT)
    driver = parse_config(env, sys.executable).driver
    assert isinstance(driver, ContainerdConfig)
    layout = name_box(tmp_path, tmp_path / "run", SUBNET, HOST)
    assert (driver.address, driver.subnet) == (str(layout.socket), SUBNET)
    assert driver.name_servers == (str(layout.gateway_address),)
    assert driver.bridge_address == str(layout.gateway_address)
    assert (driver.identity.namespace, driver.identity.bridge) == (layout.namespace, layout.bridge)
    assert driver.runtime == settings.RUNTIMES[runtime]
    assert driver.runsc == Path("/opt/runsc")


def test_node_and_agent_know_the_same_runtimes_and_the_same_subnet() -> None:
    assert set(RUNTIMES) == set(settings.RUNTIMES)


def test_the_page_of_containerd_mode_names_all_of_node_env(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "containerd-mode.md").read_text()
    assert set(node_env(tmp_path)) <= set(re.findall(r"`([A-Z_]+)`", page))
