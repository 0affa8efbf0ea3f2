"""Which URL a registry has, and through which proxy it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from artifactctl.registry.references import DOCKER_HUB

_HUB_HOST = "registry-1.docker.io"


def host_of(registry: str) -> str:
    """The host in `host:port`, without brackets."""
    return urlsplit(f"//{registry}").hostname or ""


def is_loopback(registry: str) -> bool:
    """Whether this is the machine itself, by its name or number."""
    host = host_of(registry)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def may_be_plain(registry: str, insecure: frozenset[str]) -> bool:
    """Whether plain HTTP is allowed: loopback always, others when named, with their port or without."""
    return is_loopback(registry) or registry in insecure or host_of(registry) in insecure


def api_host(registry: str) -> str:
    """Where the API of a registry is: Docker Hub's isn't where its name says."""
    return _HUB_HOST if registry == DOCKER_HUB else registry


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY give; none for loopback."""
    parts = urlsplit(url)
    if is_loopback(parts.netloc) or _is_excepted(parts.hostname or "", parts.port, environment):
        return None
    found = _variable(environment, f"{parts.scheme}_proxy")
    return (found if "://" in found else f"http://{found}") if found else None


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.upper()) or ""


def _is_excepted(host: str, port: int | None, environment: Mapping[str, str]) -> bool:
    rules = _variable(environment, "no_proxy").replace(",", " ").split()
    return any(_matches(rule.lower(), host.lower(), port) for rule in rules)


def _matches(rule: str, host: str, port: int | None) -> bool:
    if rule == "*":
        return True
    if "/" in rule:
        return _is_in_network(host, rule)
    name, colon, number = rule.rpartition(":")
    if colon and number.isdecimal() and (":" not in name or name.endswith("]")):
        if port is None or int(number) != port:
            return False
        rule = name
    rule = rule.strip("[]").removeprefix("*").lstrip(".")
    return host == rule or host.endswith(f".{rule}")


def _is_in_network(host: str, rule: str) -> bool:
    try:
        return ip_address(host) in ip_network(rule, strict=False)
    except ValueError:
        return False
