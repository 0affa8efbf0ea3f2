"""Where the parts of a containerd box are on this host, and under which names.

All of it follows from a few values, so whoever finds `node.json` can take away what a killed box left.
"""

from __future__ import annotations

import hashlib
import json
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from attrs import frozen

from esb_node.files import write_private
from esb_node.sockets import socket_place

FILE = "node.json"


@frozen
class Layout:
    """A box's directories, its names on the host and its network."""

    state: Path
    run: Path
    slug: str
    namespace: str
    bridge: str
    subnet: IPv4Network

    @property
    def gateway_address(self) -> IPv4Address:
        """The bridge's own address, the first of the subnet: where workers find the box."""
        return self.subnet[1]

    @property
    def hardware_address(self) -> str:
        """The bridge's, in the range for everybody's own use; the same when the bridge is made again."""
        digest = hashlib.sha256(f"{self.bridge} {self.subnet}".encode()).digest()
        return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))

    @property
    def socket(self) -> Path:
        """Where containerd listens."""
        return socket_place(self.run / "containerd", "containerd.sock")

    @property
    def engine_state(self) -> Path:
        """What containerd keeps of what runs; worthless once nothing runs."""
        return self.run / "containerd" / "state"

    @property
    def engine_root(self) -> Path:
        """Images and snapshots: kept over `down`, so that the box comes up again without a registry."""
        return self.state / "containerd"

    @property
    def engine_config(self) -> Path:
        """The configuration containerd is started with."""
        return self.run / "containerd" / "config.toml"

    @property
    def dns_config(self) -> Path:
        """The configuration dnsmasq is started with."""
        return self.run / "dnsmasq.conf"

    @property
    def addresses(self) -> Path:
        """Where the box's agent keeps which worker has which address."""
        return self.state / "agent" / "cni"

    @property
    def environment_file(self) -> Path:
        """What agent and gateway need to know, as KEY=VALUE lines."""
        return self.run / "node.env"

    @property
    def table(self) -> str:
        """The name of the box's firewall table and chains (iptables takes at most 28 letters)."""
        return f"esb-{hashlib.sha256(self.bridge.encode()).hexdigest()[:8]}"


def write_layout(layout: Layout) -> None:
    """Note what is about to be made on this host, before it is made."""
    document = {
        "run": str(layout.run),
        "slug": layout.slug,
        "namespace": layout.namespace,
        "bridge": layout.bridge,
        "subnet": str(layout.subnet),
    }
    write_private(layout.state / FILE, json.dumps(document, indent=2) + "\n")


def read_layout(state: Path) -> Layout | None:
    """What a box of this state directory has made; None when it made nothing."""
    try:
        found = json.loads((state / FILE).read_text("utf-8"))
        names = [str(found[name]) for name in ("slug", "namespace", "bridge")]
        slug, namespace, bridge = names
        return Layout(state, Path(found["run"]), slug, namespace, bridge, IPv4Network(found["subnet"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget_layout(state: Path) -> None:
    """Say that nothing is left."""
    (state / FILE).unlink(missing_ok=True)
