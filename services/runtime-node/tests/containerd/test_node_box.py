"""The node's parts for real, in directories, a subnet and names of their own; nothing of them stays."""

import os
import signal
import subprocess
import time
from ipaddress import IPv4Network
from pathlib import Path

from esb_node.containerd.kernel import EXPEDITED
from esb_node.containerd.layout import read_layout
from esb_node.containerd.leftovers import shims

PROBE = """
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
with socket.socket() as s:
    s.settimeout(3)
    try:
        s.connect((host, port)); print("open")
    except OSError as error:
        print(type(error).__name__)
"""


def test_it_comes_up_with_engine_network_dns_and_environment_file_and_goes_without_a_trace(node_box):
    up = node_box.up("--open-port", "18080")
    assert up.returncode == 0, up.stderr
    told = dict(line.split("=", 1) for line in (node_box.state / "run" / "node.env").read_text().splitlines())
    assert told["ESB_CNI_SUBNET"] == node_box.subnet
    assert told["ESB_BRAND_SLUG"] == node_box.slug
    assert Path(told["ESB_CONTAINERD_ADDRESS"]).is_socket()
    assert EXPEDITED.read_text().strip() != "0"
    node_box.worker()
    assert node_box.down().returncode == 0
    assert not any(node_box.left().values()), node_box.left()
    again = node_box.up()
    assert again.returncode == 0, again.stderr
    assert node_box.tasks() == []
    assert node_box.ctr("containers", "list", "--quiet") == ""
    assert "snapshot-worker1" not in node_box.ctr("snapshots", "list")


def test_workers_outlive_containerd_which_comes_back(node_box):
    assert node_box.up().returncode == 0
    worker = node_box.worker()
    node_box.kill(node_box.service("containerd")["pid"])
    node_box.until(lambda: node_box.service("containerd")["restarts"] == 1)
    node_box.until(lambda: node_box.status()["state"] == "ready")
    assert node_box.tasks() == [worker]
    assert "RUNNING" in node_box.ctr("tasks", "list")


def test_workers_outlive_a_killed_supervisor_and_the_next_box_takes_them_over(node_box, gone):
    assert node_box.up().returncode == 0
    worker = node_box.worker()
    state = node_box.status()
    node_box.kill(state["supervisor_pid"])
    gone([service["pid"] for service in state["services"]])
    node_box.until(lambda: node_box.status()["state"] == "stopped")
    assert node_box.up().returncode == 0
    assert "1 workers of an earlier box still run, the agent takes them over" in node_box.log("supervisor")
    node_box.until(lambda: node_box.tasks() == [worker])
    assert "RUNNING" in node_box.ctr("tasks", "list")


def test_down_removes_what_a_killed_box_left(node_box):
    assert node_box.up().returncode == 0
    node_box.worker()
    state = node_box.status()
    node_box.kill(state["supervisor_pid"])
    node_box.until(lambda: node_box.status()["state"] == "stopped")
    assert any(node_box.left()["processes"])
    assert node_box.down().returncode == 0
    assert not any(node_box.left().values()), node_box.left()


def test_after_a_power_cut_it_comes_up_clean(node_box):
    assert node_box.up().returncode == 0
    node_box.worker()
    layout, state = read_layout(node_box.state), node_box.status()
    guard = int((node_box.state / "box.lock").read_text().split('"pid":')[1].split(",")[0])
    workers = [int(line.split()[1]) for line in node_box.ctr("tasks", "list").splitlines()[1:]]
    everything = [
        guard,
        state["supervisor_pid"],
        *(s["pid"] for s in state["services"]),
        *shims(layout),
        *workers,
    ]
    for pid in everything:
        os.kill(pid, signal.SIGSTOP)
    node_box.kill(*everything)
    node_box.until(lambda: node_box.status()["state"] == "stopped")
    assert node_box.up().returncode == 0
    assert node_box.left()["namespaces"] == []
    assert node_box.tasks() == []


def test_a_flushed_firewall_and_a_removed_bridge_are_made_again(node_box):
    assert node_box.up().returncode == 0
    table = read_layout(node_box.state).table
    subprocess.run(["nft", "delete", "table", "inet", table], check=True, timeout=20)
    node_box.until(lambda: any(table in line for line in node_box.left()["tables"]))
    subprocess.run(["ip", "link", "delete", node_box.bridge], check=True, timeout=20)
    node_box.until(lambda: node_box.left()["bridge"])
    # Said once it is done.
    told = "bridge of the workers' network was gone, made again"
    node_box.until(lambda: told in node_box.log("supervisor"))


def test_the_bridge_keeps_its_hardware_address_when_workers_come_and_go(node_box):
    assert node_box.up().returncode == 0
    own = read_layout(node_box.state).hardware_address
    seen = Path("/sys/class/net") / node_box.bridge / "address"
    name = f"{node_box.slug}-low"
    port = f"ip link add {name} address 00:00:00:00:00:02 type veth peer name {node_box.slug}-far"
    try:
        for command in (port, f"ip link set {name} master {node_box.bridge}"):
            subprocess.run(command.split(), check=True, timeout=20)
        assert seen.read_text().strip() == own
    finally:
        subprocess.run(["ip", "link", "delete", name], check=True, timeout=20)
    assert seen.read_text().strip() == own


def test_a_second_box_of_the_same_name_is_refused(node_box, tmp_path):
    assert node_box.up().returncode == 0
    other = type(node_box)(tmp_path / "other")
    refused = other.up()
    assert refused.returncode == 4
    assert f"the bridge of the box in {node_box.state}, which runs" in refused.stderr
    assert node_box.status()["state"] == "ready"
    assert node_box.left()["bridge"]


def test_a_hung_part_is_killed_and_comes_back(node_box):
    assert node_box.up().returncode == 0
    worker = node_box.worker()
    pid = node_box.service("dns")["pid"]
    os.kill(pid, signal.SIGSTOP)
    started = time.monotonic()
    node_box.until(lambda: node_box.service("dns")["restarts"] == 1, seconds=60)
    assert time.monotonic() - started < 50
    assert "hung: 3 health checks" in node_box.service("dns")["trouble"]
    assert node_box.tasks() == [worker]


def test_a_worker_reaches_the_boxs_ports_and_names_and_nothing_else_of_the_host(node_box):
    assert node_box.up("--open-port", "18080").returncode == 0
    space, cable = f"{node_box.slug}-probe", f"{node_box.slug}-eth"
    commands = (
        f"ip netns add {space}",
        f"ip link add {cable} type veth peer name eth0 netns {space}",
        f"ip link set {cable} master {node_box.bridge} up",
        f"ip -n {space} address add {IPv4Network(node_box.subnet)[9]}/24 dev eth0",
        f"ip -n {space} link set eth0 up",
        f"ip -n {space} route add default via {node_box.own}",
    )
    for command in commands:
        subprocess.run(command.split(), check=True, timeout=20)
    servers = [
        subprocess.Popen(
            ["python3", "-m", "http.server", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for port in (18080, 18090)
    ]

    def reach(host, port):
        argv = ["ip", "netns", "exec", space, "python3", "-c", PROBE, "tcp", host, str(port)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout.strip()

    try:
        node_box.until(lambda: reach(node_box.own, 18080) == "open")
        assert reach(node_box.own, 53) == "open"
        assert reach(node_box.own, 18090) == "ConnectionRefusedError"
        assert reach("169.254.169.254", 80) == "ConnectionRefusedError"
        own = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=True).stdout.split()
        others = [
            address
            for address in own
            if "." in address and not address.startswith(node_box.own.rpartition(".")[0])
        ]
        assert [reach(address, 18080) for address in others] == ["ConnectionRefusedError"] * len(others)
    finally:
        for server in servers:
            server.kill()
            server.wait()
        subprocess.run(["ip", "netns", "delete", space], check=True, timeout=20)
