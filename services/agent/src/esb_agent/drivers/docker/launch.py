"""From a spec to a running container whose emulator listens.

image (pulled) ─▶ container ─▶ started ─▶ an address ─▶ somebody listens there
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from esb_agent.drivers.docker import container
from esb_agent.drivers.docker.engine import Engine, EngineError
from esb_agent.drivers.docker.images import Images
from esb_agent.drivers.docker.settings import DockerConfig
from esb_agent.drivers.docker.worker import DockerWorker
from esb_agent.drivers.function_error import error_json
from esb_agent.errors import (
    AgentError,
    BadRequestError,
    DriverError,
    ImageBrokenError,
    ImageNotFoundError,
    InitFailedError,
)
from esb_agent.model import FunctionSpec

POLL_SECONDS = 0.005
CONNECT_SECONDS = 1.0
# How the engine words that an image's entrypoint is none.
NO_PROGRAM = (
    "executable file not found",
    "no such file or directory",
    "exec format error",
    "permission denied",
)


class Launcher:
    """Makes containers; what is left of one that failed is the caller's to remove."""

    def __init__(self, engine: Engine, images: Images, config: DockerConfig) -> None:
        self._engine = engine
        self._images = images
        self._config = config

    async def launch(self, worker: DockerWorker, spec: FunctionSpec, marks: Mapping[str, str]) -> None:
        """Return when a call can be sent. Raises what `Driver.create` raises."""
        available = self._engine.about.cpus
        user = await self._images.user_of(spec.image)
        request = container.create_request(
            self._config,
            worker.seen.identity,
            spec,
            marks,
            image_user=user,
            nano_cpus=container.start_cpus(spec.memory_mb, available),
        )
        await worker.finish(self._make(worker, request))
        try:
            await worker.finish(self._engine.start(worker.container))
        except EngineError as error:
            raise start_error(spec, error) from error
        worker.started(await self._engine.inspect(worker.container))
        worker.read_output(self._engine)
        await self._wait_ready(worker)

    async def _make(self, worker: DockerWorker, request: Mapping[str, object]) -> None:
        worker.made = True
        try:
            worker.container = await self._engine.create(worker.container, request)
        except EngineError as error:
            # Of that name there may be another's.
            worker.made = False
            if error.status == 404 and "image" in str(error).lower():
                raise ImageNotFoundError(f"{worker.seen.image}: {error}") from error
            if error.status == 400:
                raise BadRequestError(str(error)) from error
            raise

    async def _wait_ready(self, worker: DockerWorker) -> None:
        seconds = self._config.init_seconds
        if worker.seen.address and await wait_open(worker.seen.address, lambda: worker.ended, seconds):
            worker.ready = True
            return
        if worker.ended:
            # Its last words say why.
            await worker.hush()
            message = f"Error: Runtime exited with error: {worker.ended}"
            raise InitFailedError(error_json("Runtime.ExitError", message).decode())
        message = f"Init timed out after {seconds:.2f} seconds: nobody listens on port {container.PORT}"
        raise InitFailedError(error_json("Sandbox.Timedout", message).decode())


def start_error(spec: FunctionSpec, error: EngineError) -> AgentError:
    """Of a container that was made and cannot be started: an entrypoint that is none is the image's fault."""
    if any(words in str(error) for words in NO_PROGRAM):
        return ImageBrokenError(f"{spec.image}: cannot be started: {error}")
    return error


async def wait_open(address: str, ended: Callable[[], str], seconds: float) -> bool:
    """Return True once somebody listens there; False: not within the time, or the worker ended.

    Raises:
        DriverError: for all that time there was no way to it from here.
    """
    host, _, port = address.removeprefix("http://").rpartition(":")
    deadline = time.monotonic() + seconds
    trouble: OSError | None = None
    while time.monotonic() < deadline and not ended():
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await asyncio.open_connection(host, int(port))
        except (ConnectionRefusedError, TimeoutError):
            trouble = None
        except OSError as error:
            trouble = error
        else:
            writer.close()
            return True
        await asyncio.sleep(POLL_SECONDS)
    if trouble and not ended():
        raise DriverError(f"{address}: cannot be reached from the agent: {trouble}") from trouble
    return False
