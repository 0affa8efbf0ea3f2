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

from esb_gateway.http_messages import Header, Request

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


def client_of(request: Request, trusted: TrustedProxies) -> Client:
    """Return the client of a request."""
    ends = request.ends
    nearest = _nearest(ends.client and ends.client[0], ends.server and ends.server[1], ends.scheme)
    peer, port = nearest.peer, nearest.port
    if not trusted.networks or not _trusts(trusted, peer):
        return nearest
    said = _forwarded(request.headers)
    scheme = said["proto"].lower()
    if scheme not in _DEFAULT_PORTS:
        scheme = ends.scheme
    elif not said["port"]:
        port = _DEFAULT_PORTS[scheme]
    if _PORT.fullmatch(said["port"]) and 0 < int(said["port"]) < 65536:
        port = int(said["port"])
    host = said["host"] if _HOST.fullmatch(said["host"]) else None
    return Client(_source(said["for"], peer, trusted), peer, scheme, port, host)


@lru_cache(maxsize=1024)
def _nearest(peer: str | None, port: int | None, scheme: str) -> Client:
    """The other end of the connection as the client."""
    # On a socket for both families an IPv4 peer is seen as ::ffff:198.51.100.7.
    plain = (peer or "").removeprefix("::ffff:")
    return Client(plain, plain, scheme, port or _DEFAULT_PORTS.get(scheme, 80))


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


def _forwarded(headers: list[Header]) -> dict[str, str]:
    """The X-Forwarded-* values: the whole chain, of the others the one nearest to us."""
    said = {"for": "", "proto": "", "port": "", "host": ""}
    for name, value in headers:
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
