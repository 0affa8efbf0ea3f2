"""Who sent a request, behind proxies or not.

Only addresses the box was told to trust may say it in X-Forwarded-*. The chain is read from the right: each
hop was written by the one after it, so the first address that is not a trusted proxy is the client, and what
stands left of it is anybody's word.

    peer 10.0.0.2 (trusted), X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.9 (trusted)   ->  198.51.100.7
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from attrs import frozen
from starlette.types import Scope

_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_PORT = re.compile(r"[0-9]{1,5}")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@frozen
class TrustedProxies:
    """Networks whose X-Forwarded-* headers are believed."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()


@frozen
class Client:
    """Where a request came from and went to, as the box believes it; `peer` is the connection's other end."""

    source_ip: str
    peer: str
    scheme: str
    port: int
    host: str | None = None


def parse_trusted_proxies(text: str) -> TrustedProxies:
    """Read `10.0.0.1, 192.168.0.0/16 fd00::/8`.

    Raises:
        ValueError: something in it is no address or network.
    """
    return TrustedProxies(tuple(ip_network(word, strict=False) for word in text.replace(",", " ").split()))


def client_of(scope: Scope, trusted: TrustedProxies) -> Client:
    """Return the client of a request."""
    client, server = scope.get("client"), scope.get("server")
    # On a socket for both families an IPv4 peer is seen as ::ffff:198.51.100.7.
    peer: str = client[0].removeprefix("::ffff:") if client else ""
    port: int = server[1] if server and server[1] else _DEFAULT_PORTS.get(scope["scheme"], 80)
    if not trusted.networks or not _trusts(trusted, peer):
        return Client(peer, peer, scope["scheme"], port)
    said = _forwarded(scope)
    scheme = said["proto"].lower()
    if scheme not in _DEFAULT_PORTS:
        scheme = scope["scheme"]
    elif not said["port"]:
        port = _DEFAULT_PORTS[scheme]
    if _PORT.fullmatch(said["port"]) and 0 < int(said["port"]) < 65536:
        port = int(said["port"])
    host = said["host"] if _HOST.fullmatch(said["host"]) else None
    return Client(_source(said["for"], peer, trusted), peer, scheme, port, host)


def _source(chain: str, peer: str, trusted: TrustedProxies) -> str:
    source = peer
    for hop in reversed(chain.split(",")):
        address = _address(hop.strip())
        if address is None:
            break  # whoever wrote this hides the client: the last known hop stands for it
        source = address
        if not _trusts(trusted, address):
            break
    return source


def _forwarded(scope: Scope) -> dict[str, str]:
    """The X-Forwarded-* values: the whole chain, of the others the one nearest to us."""
    said = {"for": "", "proto": "", "port": "", "host": ""}
    for name, value in scope["headers"]:
        key = name[12:].decode("latin-1") if name.startswith(b"x-forwarded-") else ""
        if key == "for":
            said["for"] += ("," if said["for"] else "") + value.decode("latin-1")
        elif key in said:
            said[key] = value.decode("latin-1").rpartition(",")[2].strip()
    return said


def _address(text: str) -> str | None:
    """The address of one hop, without a port; None when it is no address."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _trusts(trusted: TrustedProxies, address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    known = mapped or parsed
    return any(known in network for network in trusted.networks if network.version == known.version)
