"""Asking a service whether it is ready, without its protocol: a GET, or a connection."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit

from esb_node.specs import HttpProbe, Probe, SocketProbe

_SECONDS = 1.0


def is_ready(probe: Probe) -> bool:
    """Whether the service answers now; waits at most a second."""
    match probe:
        case HttpProbe(url):
            return _answers(url)
        case SocketProbe(path):
            return _connects(str(path))


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connects(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_SECONDS)
        try:
            client.connect(path)
        except OSError:
            return False
    return True
