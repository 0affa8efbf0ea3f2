"""Process start: settings from the environment, the listening socket, uvicorn, and an exit code.

0 stopped as asked, 2 wrong settings, 4 the world failed (the port is in use, the events can't be read).
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Mapping
from functools import partial

import uvicorn
import uvloop

from esb_gateway.access_log import Log
from esb_gateway.app import Deps, create_app
from esb_gateway.async_invoke.event_database import StoreError
from esb_gateway.async_invoke.event_store import EventStore, open_store
from esb_gateway.auth.command import run_command
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.credentials_file import CredentialsError, load_or_create
from esb_gateway.config import (
    ConfigError,
    GatewayConfig,
    environment_key,
    read_config,
    with_functions_key,
)
from esb_gateway.http_server import GatewayProtocol
from esb_gateway.logs import configure_logging
from esb_gateway.workers.agent_grpc import GrpcAgent

_BACKLOG = 1024


def main() -> int:
    """Run the gateway until it is told to stop, or a command of its own; return the exit code."""
    if len(sys.argv) > 1:
        return run_command(sys.argv[1:], os.environ)
    return run(os.environ)


def run(environ: Mapping[str, str]) -> int:
    """Run the gateway with these settings."""
    try:
        config = read_config(environ)
    except ConfigError as error:
        for problem in error.problems:
            print(f"esb-gateway: {problem}", file=sys.stderr)  # noqa: T201 - without settings there is no log
        return 2
    key = environment_key(environ)
    try:
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        credentials, made = load_or_create(config.credentials_file, key)
    except (CredentialsError, OSError) as error:
        print(f"esb-gateway: {error}", file=sys.stderr)  # noqa: T201 - one line a person reads
        return 2 if isinstance(error, CredentialsError) else 4
    log = configure_logging(config.log_level)
    config = with_functions_key(config, credentials.functions_key)
    credential_store = CredentialStore(credentials, config.credentials_file, key)
    try:
        listener = _listen(config)
    except OSError as error:
        print(f"esb-gateway: {config.host}:{config.port}: {error.strerror or error}", file=sys.stderr)  # noqa: T201 - one line a person reads
        return 4
    try:
        store = open_store(config.state_dir)
    except StoreError as error:
        listener.close()
        print(f"esb-gateway: {error}", file=sys.stderr)  # noqa: T201 - one line a person reads
        return 4
    if made:
        log.warning("credentials made", path=str(made.path))
    # uvicorn handles these while it serves and raises them once more when it is done: a stop that was asked
    # for is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    _tune_collector()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, listener, store, log, credential_store))
    return 0


async def _serve(
    config: GatewayConfig, listener: socket.socket, store: EventStore, log: Log, credentials: CredentialStore
) -> None:
    agent = GrpcAgent(config.agent_address, config.owner_id, config.agent_tls)
    stream = sys.stderr.buffer if config.access_log else None
    app = create_app(
        config, Deps(agent=agent, log=log, store=store, credentials=credentials, access_stream=stream)
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=partial(GatewayProtocol, endpoint=app.answer, client_timeout=config.client_timeout),  # type: ignore[arg-type] # only called
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=max(1, int(config.drain_timeout)),
        )
    )
    log.info("listening", host=config.host, port=config.port, config_dir=str(config.config_dir))
    await server.serve(sockets=[listener])
    log.info("stopped")


def _tune_collector() -> None:
    """Leave what the imports made to itself, and look for cycles less often: calls make next to none.

    Otherwise a tenth of the time goes there, and now and then a call waits for a walk over all modules.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(25_000, 20, 50)


def _listen(config: GatewayConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
