"""The images of what is served, fetched before anybody calls: a box cut off from its registry serves all.

    specs ─images▶ agent.ensure_image, one at a time ─failed?▶ again after 1, 2, 4 … 60 seconds

When all are there they are looked at again now and then: somebody may have cleaned up the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import frozen

from esb_gateway.access_log import Log
from esb_gateway.workers.agent import Agent, AgentError, WorkerSpec

STEP_SECONDS = 0.5
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_LOOK_SECONDS = 600.0


@frozen(order=True)
class Image:
    """What workers are started from, and the sandbox they run in, which may decide where it has to be."""

    ref: str
    sandbox: str


class Prefetch:
    """Has the agent fetch the images of the specs it was last given."""

    def __init__(self, agent: Agent, log: Log, monotonic: Callable[[], float]) -> None:
        self._agent = agent
        self._log = log
        self._monotonic = monotonic
        self._there: set[Image] = set()
        self._missing: dict[Image, str | None] = {}
        self._next = 0.0
        self._pause = _FIRST_PAUSE

    @property
    def there(self) -> int:
        """How many images the agent has said it has."""
        return len(self._there)

    @property
    def missing(self) -> Mapping[Image, str | None]:
        """The others, and why the last try failed; None: not tried yet."""
        return self._missing

    def adopt(self, specs: Iterable[WorkerSpec]) -> None:
        """Want their images from now on, and no others."""
        wanted = {Image(spec.image, spec.sandbox) for spec in specs}
        self._there &= wanted
        self._missing = {image: self._missing.get(image) for image in sorted(wanted - self._there)}
        self._next, self._pause = 0.0, _FIRST_PAUSE

    async def step(self) -> None:
        """Ask for what is missing, when it is time to; for all when nothing is."""
        if self._monotonic() < self._next:
            return
        missing = self._missing
        for image in tuple(missing or sorted(self._there)):
            error = await self._fetch(image)
            if self._missing is not missing:
                return  # others are wanted meanwhile: they are asked for with the next step
            self._note(image, error)
        if missing:
            self._next = self._monotonic() + self._pause
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        else:
            self._next, self._pause = self._monotonic() + _LOOK_SECONDS, _FIRST_PAUSE

    async def _fetch(self, image: Image) -> str | None:
        """Why it cannot be had; None: it is there."""
        try:
            await self._agent.ensure_image(image.ref, image.sandbox)
        except AgentError as error:
            return str(error)
        return None

    def _note(self, image: Image, error: str | None) -> None:
        known = self._missing.pop(image, None)
        if error is None:
            self._there.add(image)
            if known:
                self._log.info("image at hand after all", image=image.ref)
            return
        self._there.discard(image)
        self._missing[image] = error
        if error != known:
            self._log.warning("image not at hand", image=image.ref, error=error)
