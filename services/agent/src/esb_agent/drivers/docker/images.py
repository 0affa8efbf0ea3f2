"""Images as the engine has them, and their pulls: one at a time for an image, whoever asks for it.

A pull goes on when the start that asked for it is given up: the next start finds the image.
"""

import asyncio
from contextlib import suppress

import structlog

from esb_agent.drivers.docker.engine import Engine, EngineError, EngineUnreachedError
from esb_agent.drivers.docker.registry_auth import find_auth
from esb_agent.drivers.docker.settings import DockerConfig, PullPolicy
from esb_agent.errors import AgentError, DriverError, ImageNotFoundError

log = structlog.get_logger()
# How registries and the engine word that there is no such image, or none for who asks.
ABSENT = ("not found", "manifest unknown", "name unknown", "no such image", "does not exist")


class Images:
    """What a start needs to know of its image, pulled as the policy says."""

    def __init__(self, engine: Engine, config: DockerConfig) -> None:
        self._engine = engine
        self._policy = config.pull
        self._auth_file = config.auth_file
        self._pulls: dict[str, asyncio.Task[None]] = {}

    async def user_of(self, ref: str) -> str:
        """The user the image names, "" for none; the engine has the image then.

        Raises:
            ImageNotFoundError: nobody has it, or the policy forbids to ask.
            DriverError: the engine or the registry failed.
        """
        if self._policy is PullPolicy.ALWAYS:
            await self._pull(ref)
        try:
            return await self._engine.image_user(ref)
        except EngineError as error:
            if error.status != 404:
                raise
            if self._policy is not PullPolicy.MISSING:
                raise ImageNotFoundError(f"{ref}: the engine has no such image") from error
        await self._pull(ref)
        return await self._engine.image_user(ref)

    async def _pull(self, ref: str) -> None:
        pull = self._pulls.get(ref)
        if not pull:
            pull = self._pulls[ref] = asyncio.create_task(self._pull_now(ref))
            pull.add_done_callback(lambda _: self._pulls.pop(ref, None))
            # Whoever asked for it may have given up; then nobody is to be told.
            pull.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(pull)

    async def _pull_now(self, ref: str) -> None:
        auth = await find_auth(self._auth_file, ref) if self._auth_file else None
        try:
            await self._engine.pull(ref, auth)
        except EngineUnreachedError:
            raise
        except EngineError as error:
            raise pull_error(ref, error) from error
        log.info("image pulled", image=ref)

    async def close(self) -> None:
        """Give up all pulls."""
        for pull in list(self._pulls.values()):
            pull.cancel()
            with suppress(AgentError, asyncio.CancelledError):
                await pull


def pull_error(ref: str, error: EngineError) -> AgentError:
    """What the caller is told of a pull that failed."""
    message = str(error)
    if error.status == 404 or any(words in message.lower() for words in ABSENT):
        return ImageNotFoundError(f"{ref}: cannot be pulled: {message}")
    return DriverError(f"{ref}: cannot be pulled: {message}")
