"""The box's DNS: dnsmasq on the bridge's address, knowing the box's names and nothing else unless told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

_PORT = 53
_TTL_SECONDS = 5


def dns_config(
    address: IPv4Address, names: Mapping[str, str], upstream: Sequence[str], user: str = "dnsmasq"
) -> str:
    """Dnsmasq's configuration: `names` and everything below them lead to addresses.

    Without `upstream` servers every other name does not exist, at once: a function that asks for the
    internet gets an error, not a timeout.
    """
    lines = [
        f"listen-address={address}",
        "bind-interfaces",
        f"port={_PORT}",
        "no-resolv",
        "no-hosts",
        "no-poll",
        "no-daemon",
        "log-facility=-",
        f"user={user}",
        "cache-size=1000",
        f"local-ttl={_TTL_SECONDS}",
        *(f"address=/{name}/{target}" for name, target in sorted(names.items())),
    ]
    lines += [f"server={server}" for server in upstream] or ["address=/#/"]
    return "\n".join(lines) + "\n"


def dns_question(name: str, number: int = 1) -> bytes:
    """A question for a name's IPv4 address, as it goes over UDP."""
    labels = b"".join(bytes([len(part)]) + part.encode("ascii") for part in name.split("."))
    header = number.to_bytes(2, "big") + b"\x01\x00" + b"\x00\x01" + bytes(6)
    return header + labels + b"\x00\x00\x01\x00\x01"
