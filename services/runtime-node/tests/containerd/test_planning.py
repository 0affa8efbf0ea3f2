"""What a containerd box would be, before anything of it is made."""

import json
import socket
import tomllib
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from attrs import evolve
from esb_node.box import UpRequest
from esb_node.containerd.dns import dns_config
from esb_node.containerd.engine_config import engine_config
from esb_node.containerd.firewall import Ports, chains, passing_chain, table_text
from esb_node.containerd.kernel import expedite
from esb_node.containerd.layout import Layout, forget_layout, read_layout, write_layout
from esb_node.containerd.network import namespaces
from esb_node.containerd.plan import NODE_SERVICES, SERVICES, NodeRequest, plan_node
from esb_node.containerd.routes import clashes
from esb_node.errors import NodeError, PortInUseError
from esb_node.parts import AGENT, DATA_PLANE, ENGINE, GATEWAY

SUBNET = IPv4Network("10.77.0.0/16")
HOST = {"ESB_BRAND_SLUG": "orders", "PATH": "/bin", "AWS_PROFILE": "mine"}
LAYOUT = Layout(Path("/s"), Path("/s/run"), "orders", "esb-orders", "esb-orders", SUBNET)


def plan(tmp_path, environ=HOST, **changes):
    box = UpRequest(tmp_path, gateway_port=18123, data_port=18124)
    return plan_node(NodeRequest(box=box, subnet=SUBNET, **changes), environ)


def service(made, name):
    return next(service for service in made.services if service.name == name)


def test_the_parts_start_in_the_order_they_need_each_other(tmp_path):
    assert [service.name for service in plan(tmp_path).services] == list(SERVICES)


def test_the_node_alone_runs_no_service_and_opens_the_ports_it_is_told(tmp_path):
    made = plan(tmp_path, services=NODE_SERVICES, open_ports=(8333,))
    assert [service.name for service in made.services] == ["containerd", "dns"]
    assert made.job is None
    assert list(made.state.urls) == []
    assert made.ground.ports == Ports(workers=(8333, 18123, 18124), guarded=())


def test_a_port_of_a_service_that_runs_elsewhere_may_be_in_use(tmp_path):
    with socket.socket() as gateway:
        gateway.bind(("127.0.0.1", 0))
        gateway.listen()
        box = UpRequest(tmp_path, gateway_port=gateway.getsockname()[1])
        request = NodeRequest(box=box, subnet=SUBNET, services=NODE_SERVICES)
        assert plan_node(request, HOST).ground.ports.workers == (box.gateway_port,)
        with pytest.raises(PortInUseError):
            plan_node(evolve(request, services=SERVICES), HOST)


def test_a_box_without_a_name_does_not_start(tmp_path):
    with pytest.raises(NodeError, match="ESB_BRAND_SLUG"):
        plan(tmp_path, {"PATH": "/bin"})


@pytest.mark.parametrize(("said", "expedited"), [("", True), ("1", True), ("0", False)])
def test_the_kernel_is_hurried_unless_the_box_says_not_to(tmp_path, said, expedited):
    assert plan(tmp_path, {**HOST, "ESB_RCU_EXPEDITED": said}).ground.expedited is expedited
    assert plan(tmp_path).ground.expedited is True


def test_a_word_that_is_no_answer_names_its_variable(tmp_path):
    with pytest.raises(NodeError, match="ESB_RCU_EXPEDITED: expected 0 or 1, found 'no'"):
        plan(tmp_path, {**HOST, "ESB_RCU_EXPEDITED": "no"})


def test_a_kernel_that_hurries_already_or_cannot_is_left_as_it_is(tmp_path):
    file = tmp_path / "rcu_expedited"
    assert expedite(file) == "No such file or directory"
    for before, after in (("0\n", "1\n"), ("2\n", "2\n")):
        file.write_text(before)
        assert expedite(file) == ""
        assert file.read_text() == after


def test_the_agent_is_told_engine_network_and_name(tmp_path):
    env = service(plan(tmp_path, runtime="io.containerd.runsc.v1"), AGENT).env
    assert env["ESB_AGENT_DRIVER"] == "containerd"
    assert env["ESB_BRAND_SLUG"] == "orders"
    assert env["ESB_CNI_SUBNET"] == "10.77.0.0/16"
    assert env["ESB_WORKER_DNS"] == "10.77.0.1"
    assert env["CONTAINERD_RUNTIME"] == "io.containerd.runsc.v1"
    assert env["CONTAINERD_SNAPSHOTTER"] == "overlayfs"
    assert env["ESB_CONTAINERD_ADDRESS"] == f"{tmp_path}/run/containerd/containerd.sock"
    assert "AWS_PROFILE" not in env


def test_a_name_that_only_follows_from_the_project_reaches_the_agent_as_the_same(tmp_path):
    env = service(plan(tmp_path, {"PROJECT_NAME": "shop-env", "ENV": "prod"}), AGENT).env
    assert env["ESB_BRAND_SLUG"] == "shop-prod"


def test_functions_find_stores_and_gateway_by_name_and_the_provisioner_by_address(tmp_path):
    made = plan(tmp_path)
    env = service(made, GATEWAY).env
    assert env["AWS_ENDPOINT_URL_S3"] == "http://s3:18124"
    assert env["AWS_ENDPOINT_URL_DYNAMODB"] == "http://dynamodb:18124"
    assert env["AWS_ENDPOINT_URL_LAMBDA"] == "http://gateway:18123"
    assert env["ESB_GATEWAY_HOST"] == "0.0.0.0"
    assert made.job.env["AWS_ENDPOINT_URL_S3"] == "http://10.77.0.1:18124"
    assert made.ground.ports == Ports(workers=(18123, 18124), guarded=(18123,))
    assert made.state.mode == "containerd"
    assert made.state.urls[GATEWAY] == "http://127.0.0.1:18123"


def test_without_an_own_data_plane_the_stores_are_those_of_the_environment(tmp_path):
    services = tuple(name for name in SERVICES if name != DATA_PLANE)
    made = plan(
        tmp_path,
        HOST | {"AWS_ENDPOINT_URL_S3": "http://s3:8333"},
        services=services,
        names={"s3": "10.0.0.9"},
    )
    env = service(made, GATEWAY).env
    assert env["AWS_ENDPOINT_URL_S3"] == "http://s3:8333"
    assert "AWS_ENDPOINT_URL_DYNAMODB" not in env
    assert made.ground.names["s3"] == "10.0.0.9"
    assert made.ground.names["gateway"] == "10.77.0.1"
    assert made.job is None


def test_a_long_state_path_moves_the_engines_socket_and_everybody_is_told(tmp_path):
    deep = tmp_path / ("d" * 90)
    made = plan_node(NodeRequest(box=UpRequest(deep), subnet=SUBNET, services=("containerd", "agent")), HOST)
    place = made.ground.layout.socket
    assert len(str(place)) < 108
    assert service(made, ENGINE).address == f"unix:{place}"
    assert service(made, AGENT).env["ESB_CONTAINERD_ADDRESS"] == str(place)


def test_the_engine_keeps_to_its_own_directories_and_listens_on_one_socket():
    config = tomllib.loads(engine_config(LAYOUT))
    assert (config["root"], config["state"]) == ("/s/containerd", "/s/run/containerd/state")
    assert config["grpc"]["address"] == "/s/run/containerd/containerd.sock"
    assert config["debug"]["address"] == config["metrics"]["address"] == ""
    assert "io.containerd.grpc.v1.cri" in config["disabled_plugins"]
    assert "io.containerd.snapshotter.v1.devmapper" in config["disabled_plugins"]


def test_a_thin_pool_switches_its_snapshotter_on():
    config = tomllib.loads(engine_config(LAYOUT, "pool"))
    assert config["plugins"]["io.containerd.snapshotter.v1.devmapper"]["pool_name"] == "pool"
    assert "io.containerd.snapshotter.v1.devmapper" not in config["disabled_plugins"]


def test_names_lead_to_addresses_and_all_others_nowhere_unless_a_server_is_named():
    own = LAYOUT.gateway_address
    closed = dns_config(own, {"s3": "10.77.0.1", "gateway": "10.77.0.1"}, ())
    assert "listen-address=10.77.0.1\nbind-interfaces\n" in closed
    assert "address=/gateway/10.77.0.1\naddress=/s3/10.77.0.1\naddress=/#/\n" in closed
    open_one = dns_config(own, {}, ("192.0.2.53",))
    assert "server=192.0.2.53" in open_one
    assert "address=/#/" not in open_one


def test_the_table_is_replaced_in_one_step_and_opens_only_what_it_is_told():
    text = table_text(LAYOUT, Ports(workers=(9, 8), guarded=(8,)))
    head = f"table inet {LAYOUT.table}\n"
    assert text.startswith(f"{head}delete {head}{head.rstrip()} {{")
    assert "ip daddr 10.77.0.1 tcp dport { 8, 9 } accept" in text
    assert 'iifname != { "lo", "esb-orders" } tcp dport { 8 } fib daddr type local drop' in text
    assert 'ip saddr 10.77.0.0/16 oifname != "esb-orders" masquerade' in text
    assert "dport {  }" not in table_text(LAYOUT, Ports())


def test_chains_of_iptables_have_names_it_takes_and_end_with_a_refusal():
    made = chains(LAYOUT, Ports((8,), (8,)))
    assert all(len(chain.name) <= 28 for chain in (*made, passing_chain(LAYOUT)))
    inputs = next(chain for chain in made if chain.hook == "INPUT")
    assert inputs.rules[-1] == ("-j", "REJECT")
    assert ("-d", "10.77.0.1", "-p", "tcp", "--dport", "8", "-j", "ACCEPT") in inputs.rules


@pytest.mark.parametrize(
    ("route", "found"),
    [
        ({"dst": "10.77.3.0/24", "dev": "eth1"}, ["10.77.3.0/24 on eth1"]),
        ({"dst": "10.0.0.0/8", "dev": "tun0"}, ["10.0.0.0/8 on tun0"]),
        ({"dst": "10.77.0.0/16", "dev": "esb-orders"}, []),
        ({"dst": "default", "dev": "eth0"}, []),
        ({"dst": "10.78.0.0/16", "dev": "eth0"}, []),
        ({"type": "blackhole", "dst": "10.0.0.0/8"}, []),
        ({"dst": "10.77.9.9", "dev": "wg0"}, ["10.77.9.9/32 on wg0"]),
    ],
)
def test_a_subnet_that_leads_elsewhere_already_is_named_with_the_route(route, found):
    assert clashes(SUBNET, "esb-orders", json.dumps([route])) == found


def test_what_was_made_can_be_read_by_whoever_cleans_up(tmp_path):
    layout = Layout(tmp_path, tmp_path / "run", "orders", "esb-orders", "esb-orders", SUBNET)
    assert read_layout(tmp_path) is None
    write_layout(layout)
    assert read_layout(tmp_path) == layout
    forget_layout(tmp_path)
    assert read_layout(tmp_path) is None


def test_a_broken_note_is_none(tmp_path):
    (tmp_path / "node.json").write_text('{"run": "/r"}')
    assert read_layout(tmp_path) is None


def test_only_the_agents_own_network_namespaces_are_the_boxs(tmp_path, monkeypatch):
    own = "esb-orders-0123456789ab"
    others = (
        "orders-0123456789ab",
        "orders-db",
        "esb-orders-db",
        "esb-orders-eu-0123456789ab",
        "esb-orders-",
    )
    for name in (own, *others):
        (tmp_path / name).touch()
    monkeypatch.setattr("esb_node.containerd.network._NETNS", tmp_path)
    assert namespaces(LAYOUT) == [own]
