"""The connection to the agent: a unix socket, or TCP with mutual TLS.

Certificates are looked at before every request: when their files have changed, later requests go over a new
connection, and the old one is closed once its own are answered. Files that do not go together (one is being
replaced) leave the old connection in use.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import grpc
import grpc.aio
from attrs import frozen
from esb_agent_api import agent_pb2_grpc

# An agent that restarts is awaited by calls in line: retry the connection quickly instead of gRPC's default
# of up to two minutes. `min` is also how long one attempt may take.
_OPTIONS = {
    "grpc.initial_reconnect_backoff_ms": 50,
    "grpc.min_reconnect_backoff_ms": 250,
    "grpc.max_reconnect_backoff_ms": 500,
    "grpc.enable_http_proxy": 0,
}
_TLS_OPTIONS = {
    **_OPTIONS,
    "grpc.min_reconnect_backoff_ms": 2_000,  # a handshake over a network takes longer
    "grpc.keepalive_time_ms": 30_000,  # an agent whose machine went away without a word is noticed
}
_TCP = "tcp:"
_LEAVE_SECONDS = 60.0  # the longest request, a cold start, may still be under way


@frozen(kw_only=True)
class AgentTls:
    """PEM files: the gateway's certificate, whose name is the owner id, its key, the agent's authority."""

    certificate: Path
    key: Path
    authority: Path

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """All three."""
        return self.certificate, self.key, self.authority


class AgentChannel:
    """Over which requests go now."""

    def __init__(self, address: str, tls: AgentTls | None) -> None:
        self._target = address.removeprefix(_TCP)
        self._tls = tls
        self._stamp = _stamp(tls)
        self._leaving: set[asyncio.Task[None]] = set()
        self._open()

    def _open(self) -> None:
        if self._tls is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=list(_OPTIONS.items()))
        else:
            certificate, key, authority = (path.read_bytes() for path in self._tls.files)
            credentials = grpc.ssl_channel_credentials(authority, key, certificate)
            self._channel = grpc.aio.secure_channel(
                self._target, credentials, options=list(_TLS_OPTIONS.items())
            )
        self._stub = agent_pb2_grpc.AgentStub(self._channel)

    @property
    def stub(self) -> agent_pb2_grpc.AgentStub:
        """For one request."""
        if self._tls is not None and (stamp := _stamp(self._tls)) != self._stamp and _good(self._tls):
            self._stamp = stamp
            self._renew()
        return self._stub

    def _renew(self) -> None:
        old = self._channel
        try:
            self._open()
        except OSError:  # replaced just now; the next request looks again
            self._stamp = None
            return
        task = asyncio.create_task(old.close(_LEAVE_SECONDS))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Close all connections."""
        for task in self._leaving:
            task.cancel()
        await self._channel.close()


def _stamp(tls: AgentTls | None) -> tuple[tuple[int, int, int], ...] | None:
    try:
        found = [path.stat() for path in tls.files] if tls else []
    except OSError:
        return None
    return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)


def _good(tls: AgentTls) -> bool:
    """Certificate and key belong together, and the authority is one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
        context.load_verify_locations(tls.authority)
    except (ssl.SSLError, OSError, ValueError):
        return False
    return True
