"""The agent's process: configuration in, server up, signal, server down.

The only place that reads environment variables.
"""

import asyncio
import logging
import os
import resource
import signal
import sys
from importlib.metadata import version
from typing import TextIO

import structlog
import uvloop

from esb_agent.address import UnixAddress
from esb_agent.config import Config, parse_config
from esb_agent.drivers.containerd.settings import ContainerdConfig
from esb_agent.drivers.docker.settings import DockerConfig
from esb_agent.drivers.log_files import Ship
from esb_agent.drivers.port import Driver
from esb_agent.drivers.process.driver import ProcessDriver
from esb_agent.errors import ConfigError
from esb_agent.fleet import Fleet
from esb_agent.log_shipping import LogShipper
from esb_agent.metrics import serve_metrics
from esb_agent.server import serve
from esb_agent.tally import Tally

log = structlog.get_logger()
WRONG_CONFIG = 2
# For answers to calls that are already in a handler.
GRACE_SECONDS = 1.0


def main() -> int:
    """Serve until SIGTERM or SIGINT. 0 stopped, 2 wrongly configured (one line on stderr says how)."""
    configure_logs(sys.stderr)
    allow_many_files()
    try:
        config = parse_config(os.environ, sys.executable)
        uvloop.run(run(config))
    except ConfigError as error:
        sys.stderr.write(f"esb-agent: {error}\n")
        return WRONG_CONFIG
    return 0


def configure_logs(stream: TextIO) -> None:
    """JSON lines, without the values of variables: they may be secret."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )


def allow_many_files() -> None:
    """A worker costs its agent six descriptors; the usual 1024 would end at some 150 workers."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def make_driver(config: Config, tally: Tally, ship: Ship | None) -> Driver:
    """The one that is configured; another one's imports cost nothing."""
    if isinstance(config.driver, DockerConfig):
        from esb_agent.drivers.docker.driver import DockerDriver  # noqa: PLC0415 - see above

        return DockerDriver(config.driver, tally, ship)
    if isinstance(config.driver, ContainerdConfig):
        from esb_agent.drivers.containerd.driver import ContainerdDriver  # noqa: PLC0415 - see above

        return ContainerdDriver(config.driver, tally, ship)
    return ProcessDriver(config.driver, tally, ship)


async def run(config: Config) -> None:
    """The whole life of an agent.

    Raises:
        ConfigError: it cannot start as configured.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tally = Tally()
    shipper = LogShipper(config.log_endpoint, config.log_buffer_bytes, tally) if config.log_endpoint else None
    driver = make_driver(config, tally, shipper.offer if shipper else None)
    await driver.start()
    if shipper:
        shipper.start()
    fleet = Fleet(driver, tally, grace_seconds=config.owner_grace)
    watching: asyncio.Task[None] | None = None
    try:
        await fleet.recover()
        server = await serve(fleet, config.address, version("esb-agent"))
        metrics = await serve_metrics(driver, tally, config.metrics_port) if config.metrics_port else None
        watching = asyncio.create_task(fleet.watch_owners())
        log.info(
            "agent ready",
            address=str(config.address),
            driver=driver.name,
            problems=await driver.problems(),
        )
        await stop.wait()
        log.info("agent stopping")
        # First no new workers; then the calls in flight; then what is left.
        stopping = asyncio.create_task(server.stop(GRACE_SECONDS))
        if isinstance(config.address, UnixAddress):
            # While the state directory is still held: afterwards the path may be another agent's.
            config.address.path.unlink(missing_ok=True)
        await fleet.close()
        await stopping
        if metrics:
            metrics.close()
    finally:
        if watching:
            watching.cancel()
        await fleet.close()
        if shipper:
            await asyncio.to_thread(shipper.close)
