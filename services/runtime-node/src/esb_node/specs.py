"""What is to be supervised, as values: a service that stays, a job that ends, and when a service is ready."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen


@frozen
class HttpProbe:
    """Ready when a GET of the URL is answered with a status below 500."""

    url: str


@frozen
class SocketProbe:
    """Ready when the unix socket takes a connection."""

    path: Path


@frozen
class GrpcProbe:
    """Ready when the unix socket takes a connection; alive while the gRPC server behind it answers."""

    path: Path


@frozen
class DnsProbe:
    """Ready when port 53 of the address answers the question."""

    address: str
    question: bytes


Probe = HttpProbe | SocketProbe | GrpcProbe | DnsProbe


@frozen
class ServiceSpec:
    """A process that is kept alive; times in seconds.

    `start_seconds` is how long a restarted service may take to get ready, `stop_seconds` how long it may take
    to end after SIGTERM before it is killed; 0 kills it at once, for services that have nothing to save. The
    environment is the whole one: nothing is inherited. `ready` is also how a service that runs is asked
    whether it is alive.
    """

    name: str
    argv: tuple[str, ...]
    ready: Probe
    address: str
    log: Path
    env: Mapping[str, str] = field(factory=dict, repr=False)  # may hold keys
    start_seconds: float = 30.0
    stop_seconds: float = 5.0


@frozen
class JobSpec:
    """A process that does something once and ends; its stdout goes to `output`, its stderr to `log`."""

    name: str
    argv: tuple[str, ...]
    output: Path
    log: Path
    env: Mapping[str, str] = field(factory=dict, repr=False)
    max_seconds: float = 120.0
