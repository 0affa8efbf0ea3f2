"""What docker-compose.containerd.yml promises, read from the file itself: no engine is needed."""

from __future__ import annotations

import re
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docker-compose.containerd.yml"
DOCKER_FILE = ROOT / "docker-compose.docker.yml"
HOSTS = ["runtime-node", "agent"]  # They have the host: who starts containers has it anyhow.


def services_of(file: Path) -> Any:
    return YAML(typ="safe", pure=True).load(file)["services"]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services, as YAML has them."""
    found: dict[str, Any] = services_of(FILE)
    return found


def mounts(service: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Target to what is mounted there."""
    found = [
        dict(zip(("source", "target"), one.split(":"), strict=True)) if isinstance(one, str) else one
        for one in service.get("volumes", [])
    ]
    return {one["target"]: one for one in found}


def test_node_and_agent_see_each_others_namespaces_and_files_in_one_place(services: dict[str, Any]) -> None:
    for name in HOSTS:
        found = mounts(services[name])
        assert found["/run/netns"]["source"] == "/run/netns", name
        assert found["/run/netns"]["bind"]["propagation"] == "rshared", name
        assert found["/var/lib/esb"]["source"] == "node-state", name
        assert services[name]["cgroup"] == "host", name
        assert "--state=/var/lib/esb" in services["runtime-node"]["command"]
    assert services["agent"]["image"] == services["runtime-node"]["image"]


def test_nobody_joins_a_namespace_of_another_container(services: dict[str, Any]) -> None:
    """The engine starts such a one once, and gives up where the other does not run yet."""
    for name, service in services.items():
        assert service["network_mode"] == ("bridge" if name == "registry" else "host"), name
        assert not {"pid", "ipc"} & set(service), name


def test_the_others_have_as_little_as_they_need(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if service.get("privileged")] == HOSTS
    for name in ("gateway", "provisioner", "registry", "s3"):
        service = services[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_the_socket_of_containerd_is_where_node_and_agent_are_alone(services: dict[str, Any]) -> None:
    having = {
        volume: [
            name for name, one in services.items() if volume in {m["source"] for m in mounts(one).values()}
        ]
        for volume in ("node-state", "agent-socket")
    }
    assert having == {"node-state": HOSTS, "agent-socket": ["agent", "gateway"]}


def test_what_root_without_capabilities_writes_is_its_own(services: dict[str, Any]) -> None:
    gateway = services["gateway"]
    assert gateway["user"] == "0:0"
    for target in ("/var/lib/esb/gateway", "/run/esb"):
        assert mounts(gateway)[target]["volume"] == {"nocopy": True}, target


def test_only_the_registry_is_published_and_on_loopback(services: dict[str, Any]) -> None:
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert published == {"registry": ["127.0.0.1:${ESB_REGISTRY_PORT:-5010}:5000"]}


def test_workers_reach_the_ports_of_gateway_and_stores_and_no_other(services: dict[str, Any]) -> None:
    opened = [word for word in services["runtime-node"]["command"] if word.startswith("--open-port")]
    assert opened == ["--open-port=${ESB_GATEWAY_PORT:-8080}", "--open-port=8333", "--open-port=8000"]
    assert "-s3.port=8333" in services["s3"]["command"]
    assert "--alternator-port=8000" in services["dynamodb"]["command"]


def test_the_bridges_address_is_by_default_the_first_of_the_workers_network() -> None:
    text = FILE.read_text()
    (subnet,) = set(re.findall(r"\$\{ESB_CNI_SUBNET:-([\d./]+)\}", text))
    (address,) = set(re.findall(r"\$\{ESB_BRIDGE_ADDRESS:-([\d.]+)\}", text))
    assert address == str(IPv4Network(subnet)[1])


def test_services_come_back_and_are_looked_at(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name
        if name != "provisioner":
            assert service["healthcheck"]["test"][0] == "CMD", name
            assert service["restart"] == "unless-stopped", name


def test_what_both_kinds_of_boxes_have_is_alike(services: dict[str, Any]) -> None:
    other = services_of(DOCKER_FILE)
    for name in ("gateway", "provisioner", "registry", "s3", "dynamodb"):
        assert services[name]["image"] == other[name]["image"], name
    assert set(other["gateway"]["environment"]) <= set(services["gateway"]["environment"])
    handed = {name for name, value in other["agent"]["environment"].items() if value is None}
    assert handed <= set(services["agent"]["environment"])


def test_no_secret_has_a_default() -> None:
    secret = re.findall(r"\$\{(\w*(?:SECRET_ACCESS|ACCESS_KEY|PASSWORD|TOKEN)\w*)(:.)", FILE.read_text())
    assert secret == [("ESB_ACCESS_KEY_ID", ":?"), ("ESB_SECRET_ACCESS_KEY", ":?")]


def test_every_variable_is_documented() -> None:
    pages = "".join((ROOT / "docs" / name).read_text() for name in ("containerd-mode.md", "docker-mode.md"))
    for name in set(re.findall(r"\$\{(\w+)[:}]", re.sub(r"#.*", "", FILE.read_text()))):
        assert f"`{name}`" in pages, name
