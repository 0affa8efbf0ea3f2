"""The workers' network on this host: bridge, forwarding, firewall; laid again whenever a part is missing."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path

from esb_node import lock
from esb_node.containerd.commands import find, lines, run, succeeds
from esb_node.containerd.firewall import Chain, Ports, chains, passing_chain, table_text
from esb_node.containerd.layout import Layout
from esb_node.containerd.routes import clashes
from esb_node.errors import NodeError

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_NETNS = Path("/run/netns")
_WORKERS_OWN = "-[0-9a-f]{12}"


def lay_network(layout: Layout, ports: Ports) -> None:
    """Make the bridge, let this host forward, set the firewall; what is there already is left or replaced.

    Raises:
        NodeError: the subnet is in use, or the host does not let us.
    """
    if found := clashes(layout.subnet, layout.bridge, run(["ip", "-json", "-4", "route", "show"])):
        raise NodeError(
            f"the workers' subnet {layout.subnet} overlaps {', '.join(found)}; give another with --subnet"
        )
    _forward()
    _make_bridge(layout)
    _set_firewall(layout, ports)


def mend_network(layout: Layout, ports: Ports, tell: Callable[[str], None]) -> None:
    """Lay again what somebody took away: a flushed rule set, a removed bridge, Docker's rules made anew."""
    missing = []
    if not _has_bridge(layout):
        missing.append("bridge")
        _make_bridge(layout)
    if not _has_firewall(layout):
        missing.append("firewall")
        _set_firewall(layout, ports)
    if missing:
        tell(f"{' and '.join(missing)} of the workers' network was gone, made again")


def lift_network(layout: Layout) -> None:
    """Take away bridge, rules and the workers' network namespaces; what is gone is no error."""
    for namespace in namespaces(layout):
        succeeds(["ip", "netns", "delete", namespace])
    if _has_bridge(layout) and _alias(layout) in {"", str(layout.state)}:
        succeeds(["ip", "link", "delete", layout.bridge])
    if find("nft"):
        succeeds(["nft", "delete", "table", "inet", layout.table])
    if find("iptables"):
        for chain in (passing_chain(layout), *reversed(chains(layout, Ports()))):
            _unhang(chain)
            succeeds(_iptables(chain, "-F", chain.name))
            succeeds(_iptables(chain, "-X", chain.name))


def namespaces(layout: Layout) -> list[str]:
    """The network namespaces of the box's workers, prepared ones too."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(entry.name for entry in _NETNS.iterdir() if _is_ours(layout, entry.name))
    return []


def _is_ours(layout: Layout, name: str) -> bool:
    """As the agent calls them: nothing of a box, or of a person, whose names only begin or end like it."""
    return re.fullmatch(re.escape(layout.namespace) + _WORKERS_OWN, name) is not None


def require_own(layout: Layout) -> None:
    """Refuse to share names: two boxes of one name would take each other's workers for leftovers.

    Raises:
        NodeError: the bridge is that of a box that runs.
    """
    other = _alias(layout) if _has_bridge(layout) else ""
    if other and other != str(layout.state) and _runs(Path(other)):
        raise NodeError(
            f"{layout.bridge} is the bridge of the box in {other}, which runs; "
            "give this box a name of its own with ESB_BRAND_SLUG"
        )


def _runs(state: Path) -> bool:
    with contextlib.suppress(OSError):
        return lock.is_held(state)
    return False


def _has_bridge(layout: Layout) -> bool:
    return Path("/sys/class/net", layout.bridge).exists()


def _alias(layout: Layout) -> str:
    with contextlib.suppress(OSError):
        return Path("/sys/class/net", layout.bridge, "ifalias").read_text("utf-8").strip()
    return ""


def _forward() -> None:
    if _FORWARDING.read_text().strip() != "1":
        try:
            _FORWARDING.write_text("1\n")
        except OSError as error:
            raise NodeError(
                f"this host forwards no packets, and that can't be changed from here: {error.strerror}"
                " (sysctl -w net.ipv4.ip_forward=1)"
            ) from error


def _make_bridge(layout: Layout) -> None:
    bridge = layout.bridge
    if not _has_bridge(layout):
        run(["ip", "link", "add", "name", bridge, "type", "bridge", "forward_delay", "0"])
    # Without one of its own it has the lowest of its ports': another one whenever a worker comes or goes, and
    # workers that know the one before reach nobody for seconds.
    run(["ip", "link", "set", "dev", bridge, "address", layout.hardware_address])
    address = f"{layout.gateway_address}/{layout.subnet.prefixlen}"
    run(["ip", "address", "replace", address, "dev", bridge])
    run(["ip", "link", "set", "dev", bridge, "alias", str(layout.state), "up"])
    for other in _addresses(bridge):
        if other != address:  # of an earlier subnet: an answer from it would reach nobody
            succeeds(["ip", "address", "delete", other, "dev", bridge])
    with contextlib.suppress(OSError):  # no IPv6 on this host
        Path("/proc/sys/net/ipv6/conf", bridge, "disable_ipv6").write_text("1\n")


def _addresses(bridge: str) -> list[str]:
    found = json.loads(run(["ip", "-json", "-4", "address", "show", "dev", bridge]) or "[]")
    return [f"{a['local']}/{a['prefixlen']}" for link in found for a in link.get("addr_info", [])]


def _set_firewall(layout: Layout, ports: Ports) -> None:
    if find("nft"):
        run(["nft", "-f", "-"], text=table_text(layout, ports))
        if _iptables_decides():
            _hang(passing_chain(layout))
        return
    if not find("iptables"):
        raise NodeError("neither nft nor iptables is installed; functions would reach this host's ports")
    for chain in chains(layout, ports):
        _hang(chain)


def _has_firewall(layout: Layout) -> bool:
    if not find("nft"):
        return all(_hangs(chain) for chain in chains(layout, Ports()) if chain.hook)
    if not succeeds(["nft", "list", "table", "inet", layout.table]):
        return False
    return not _iptables_decides() or _hangs(passing_chain(layout))


def _iptables_decides() -> bool:
    """Whether rules of iptables drop what is forwarded, as Docker has them do."""
    return bool(find("iptables")) and "-P FORWARD DROP" in lines(["iptables", "-w", "-S", "FORWARD"])


def _hang(chain: Chain) -> None:
    """Make a chain of these very rules, and have it asked first."""
    run(["iptables-restore", "-w", "--noflush"], text=_restore_text(chain))
    if chain.hook:
        _unhang(chain)
        run(_iptables(chain, "-I", chain.hook, "1", "-j", chain.name))


def _restore_text(chain: Chain) -> str:
    rules = "".join(f"-A {chain.name} {' '.join(rule)}\n" for rule in chain.rules)
    return f"*{chain.table}\n:{chain.name} - [0:0]\n-F {chain.name}\n{rules}COMMIT\n"


def _unhang(chain: Chain) -> None:
    while chain.hook and _hangs(chain):
        if not succeeds(_iptables(chain, "-D", chain.hook, "-j", chain.name)):
            return


def _hangs(chain: Chain) -> bool:
    return succeeds(_iptables(chain, "-C", chain.hook, "-j", chain.name))


def _iptables(chain: Chain, *words: str) -> list[str]:
    return ["iptables", "-w", "-t", chain.table, *words]
