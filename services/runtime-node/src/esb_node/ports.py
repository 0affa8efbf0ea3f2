"""Ports for the box: the one asked for, else the one it had last time, else a free one.

Free ports come from below the range the kernel hands to outgoing connections: otherwise such a connection
could take the port of a service in the moment it is being restarted.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

from esb_node.errors import PortInUseError

_LOWEST = 10240
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_USUAL_EPHEMERAL_START = 32768
_TRIES = 200


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT is no obstacle
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose(
    wanted: int | None, previous: int | None, *, option: str, taken: frozenset[int] = frozenset()
) -> int:
    """A port to listen on that is not in `taken`.

    Raises:
        PortInUseError: the wanted port is in use, or no port is free.
    """
    if wanted is not None:
        if wanted in taken:
            raise PortInUseError(
                f"port {wanted} ({option}) is another service's of this box; give another or none"
            )
        if not is_free(wanted):
            raise PortInUseError(f"port {wanted} ({option}) is in use on 127.0.0.1; give another or none")
        return wanted
    if previous is not None and previous not in taken and is_free(previous):
        return previous
    for _ in range(_TRIES):
        port = random.randrange(_LOWEST, _ephemeral_start())  # noqa: S311 - a port, no secret
        if port not in taken and is_free(port):
            return port
    raise PortInUseError(f"no free port found for {option} in {_TRIES} tries")


def _ephemeral_start() -> int:
    try:
        start = int(_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _USUAL_EPHEMERAL_START
    return start if start > _LOWEST + _TRIES else _USUAL_EPHEMERAL_START
