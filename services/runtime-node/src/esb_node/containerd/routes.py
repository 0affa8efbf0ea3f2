"""Whether the workers' subnet is free on this host: no route of it may lead elsewhere."""

from __future__ import annotations

import json
from ipaddress import IPv4Network, ip_network

_HARMLESS = frozenset({"broadcast", "multicast", "unreachable", "blackhole", "prohibit"})


def clashes(subnet: IPv4Network, bridge: str, routes: str) -> list[str]:
    """The routes that overlap the subnet, for people; `routes` is what `ip -json -4 route show` prints."""
    found: list[str] = []
    for route in json.loads(routes or "[]"):
        target, device = str(route.get("dst", "")), str(route.get("dev", ""))
        if target == "default" or device == bridge or route.get("type") in _HARMLESS:
            continue
        network = ip_network(target, strict=False)
        if isinstance(network, IPv4Network) and network.prefixlen and network.overlaps(subnet):
            found.append(f"{network} on {device}")
    return sorted(set(found))
