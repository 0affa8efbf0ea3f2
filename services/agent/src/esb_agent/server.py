"""The gRPC server: on a unix socket, or on a TCP port with mutual TLS; with gRPC's own health service."""

import os

import grpc.aio
import structlog
from esb_agent_api import agent_pb2
from esb_agent_api.agent_pb2_grpc import add_AgentServicer_to_server
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from esb_agent.address import Address, TcpAddress, UnixAddress
from esb_agent.errors import ConfigError
from esb_agent.fleet import Fleet
from esb_agent.service import AgentService
from esb_agent.tls import Certificates, client_names
from esb_agent.unix_socket import claim, private_umask

log = structlog.get_logger()
PRIVATE_MODE = 0o600
# Environments are the largest thing in a request.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
    # A client whose machine went away without a word is let go.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)
# The server as a whole, and the one service it has.
SERVICES = ("", agent_pb2.DESCRIPTOR.services_by_name["Agent"].full_name)


class AgentServer:
    """A started server; `port` is 0 on a unix socket."""

    def __init__(self, server: grpc.aio.Server, health_service: health.aio.HealthServicer, port: int) -> None:
        self._server = server
        self._health = health_service
        self.port = port

    async def stop(self, grace: float | None) -> None:
        """No new requests; those in hand get `grace` seconds. Who watches the health is told first."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)


async def serve(fleet: Fleet, address: Address, version: str) -> AgentServer:
    """A started server. There is no reflection: agent.proto is the interface.

    Raises:
        ConfigError: the address is taken, nothing can be served there, or a certificate is no good.
    """
    secured = isinstance(address, TcpAddress) and address.tls is not None
    server = grpc.aio.server(options=OPTIONS)
    add_AgentServicer_to_server(AgentService(fleet, version, client_names if secured else None), server)
    health_service = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_service, server)
    for service in SERVICES:
        await health_service.set(service, health_pb2.HealthCheckResponse.SERVING)
    if isinstance(address, UnixAddress):
        await _start_on_socket(server, address)
        return AgentServer(server, health_service, 0)
    return AgentServer(server, health_service, await _start_on_port(server, address))


async def _start_on_socket(server: grpc.aio.Server, address: UnixAddress) -> None:
    path = address.path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        claim(path)
        with private_umask():
            server.add_insecure_port(str(address))
        await server.start()
    except (OSError, RuntimeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise ConfigError(f"{path}: no socket can be made there: {reason}") from error
    mode = path.stat().st_mode & 0o777
    if mode != PRIVATE_MODE:
        await server.stop(None)
        raise ConfigError(f"{path}: expected mode 0600 for the socket, found {mode:04o}")


async def _start_on_port(server: grpc.aio.Server, address: TcpAddress) -> int:
    where = f"{address.host}:{address.port}"
    try:
        if address.tls:
            port = server.add_secure_port(where, Certificates(address.tls).credentials())
        else:
            log.warning("serving in the clear: whoever reaches this port may run anything", address=where)
            port = server.add_insecure_port(where)
        await server.start()
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{address}: cannot be listened on: {error}") from error
    return port
