"""From a spec to a running container whose emulator listens.

image (pulled) ─▶ container ─▶ started ─▶ an address ─▶ somebody listens there
"""

from collections.abc import Mapping

from esb_agent.drivers.docker import container
from esb_agent.drivers.docker.engine import Engine, EngineError
from esb_agent.drivers.docker.images import Images
from esb_agent.drivers.docker.settings import DockerConfig
from esb_agent.drivers.docker.worker import DockerWorker
from esb_agent.drivers.emulator_function import start_cpus
from esb_agent.errors import (
    AgentError,
    BadRequestError,
    ImageBrokenError,
    ImageNotFoundError,
)
from esb_agent.model import FunctionSpec

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
            nano_cpus=start_cpus(spec.memory_mb, available),
        )
        await worker.finish(self._make(worker, request))
        try:
            await worker.finish(self._engine.start(worker.container))
        except EngineError as error:
            raise start_error(spec, error) from error
        worker.started(await self._engine.inspect(worker.container))
        worker.read_output(self._engine)
        await worker.wait_ready(self._config.init_seconds)

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


def start_error(spec: FunctionSpec, error: EngineError) -> AgentError:
    """Of a container that was made and cannot be started: an entrypoint that is none is the image's fault."""
    if any(words in str(error) for words in NO_PROGRAM):
        return ImageBrokenError(f"{spec.image}: cannot be started: {error}")
    return error
