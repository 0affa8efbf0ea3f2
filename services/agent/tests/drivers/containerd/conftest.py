"""Networks of workers on this host's real plugins; each test has a bridge and a subnet of its own."""

import os
import secrets
import shutil
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from esb_agent.drivers.containerd.network import Network, NetworkConfig

PLUGINS = Path(os.environ.get("ESB_CNI_BIN_DIR", "/usr/lib/cni"))


KNOCK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], 9), 1)
except OSError as error:
    print(type(error).__name__)
"""


def why_no_networks():
    """What this host lacks; "" when nothing."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    missing = [name for name in ("bridge", "host-local") if not os.access(PLUGINS / name, os.X_OK)]
    if missing:
        return f"no CNI plugins {', '.join(missing)} in {PLUGINS}"
    return "" if shutil.which("ip") else "no command ip"


def run(*words, check=True):
    return subprocess.run(words, capture_output=True, text=True, check=check, timeout=20).stdout


class NetworkBox:
    """Networks of one box, one after the other."""

    def __init__(self, folder):
        mark = secrets.token_hex(3)
        number = secrets.randbelow(200)
        self.config = NetworkConfig(
            state_dir=folder,
            bridge=f"esbt{mark}",
            name=f"esbt-{mark}",
            prefix=f"esbt-{mark}",
            subnet=IPv4Network(f"10.213.{number}.0/24"),
            bin_dir=PLUGINS,
            pool=2,
        )
        self.networks = []

    def network(self, **more):
        values = {name: getattr(self.config, name) for name in NetworkConfig.__slots__ if name[0] != "_"}
        made = Network(NetworkConfig(**{**values, **more}))
        self.networks.append(made)
        return made

    def namespaces(self):
        folder = self.config.netns_dir
        return sorted(path.name for path in folder.glob(f"{self.config.prefix}*"))

    def addresses(self):
        folder = self.config.state_dir / "cni" / self.config.name
        return sorted(file.name for file in folder.glob("*.*.*.*"))

    def ports(self):
        folder = Path("/sys/class/net") / self.config.bridge / "brif"
        return sorted(path.name for path in folder.glob("*"))

    def inside(self, namespace, *words, check=True):
        return run("ip", "netns", "exec", namespace.name, *words, check=check)

    def answers(self, namespace, address):
        """Somebody at that address answers one in the namespace: with a refusal, as nobody listens."""
        said = self.inside(namespace, sys.executable, "-S", "-c", KNOCK, address)
        return said.strip() == "ConnectionRefusedError"

    def remove(self):
        for name in self.namespaces():
            run("ip", "netns", "delete", name, check=False)
        run("ip", "link", "delete", self.config.bridge, check=False)


@pytest.fixture
async def network_box(tmp_path):
    if reason := why_no_networks():
        if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    box = NetworkBox(tmp_path)
    try:
        yield box
    finally:
        for network in box.networks:
            await network.close()
        box.remove()
