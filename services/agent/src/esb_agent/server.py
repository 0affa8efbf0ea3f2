"""The gRPC server on its unix socket."""

import os
from pathlib import Path

import grpc.aio
from esb_agent_api.agent_pb2_grpc import add_AgentServicer_to_server

from esb_agent.errors import ConfigError
from esb_agent.fleet import Fleet
from esb_agent.service import AgentService
from esb_agent.unix_socket import claim, private_umask

PRIVATE_MODE = 0o600
# Environments are the largest thing in a request.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
OPTIONS = (("grpc.max_receive_message_length", MAX_MESSAGE_BYTES), ("grpc.so_reuseport", 0))


async def serve(fleet: Fleet, path: Path, version: str) -> grpc.aio.Server:
    """A started server on a socket of mode 0600.

    Raises:
        ConfigError: the path is taken, or no socket can be made there.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        claim(path)
        server = grpc.aio.server(options=OPTIONS)
        add_AgentServicer_to_server(AgentService(fleet, version), server)
        with private_umask():
            server.add_insecure_port(f"unix:{path}")
        await server.start()
    except (OSError, RuntimeError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise ConfigError(f"{path}: no socket can be made there: {reason}") from error
    mode = _mode(path)
    if mode != PRIVATE_MODE:
        await server.stop(None)
        raise ConfigError(f"{path}: expected mode 0600 for the socket, found {mode:04o}")
    return server


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777
