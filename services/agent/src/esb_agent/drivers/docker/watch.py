"""What happens to this box's containers, as the engine tells it: a crash is seen the moment it happens.

When the engine goes away its stream of events breaks. It is opened again until it holds; then everything is
looked at once, as events may have been missed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from esb_agent.drivers.docker.engine import Engine, EngineError, EngineUnreachedError, Event

log = structlog.get_logger()
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class Watch:
    """`on_event` is told of each event, `on_gap` when some may have been missed."""

    def __init__(
        self,
        engine: Engine,
        labels: Mapping[str, str],
        *,
        on_event: Callable[[Event], None],
        on_gap: Callable[[], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._labels = labels
        self._on_event = on_event
        self._on_gap = on_gap
        self._listening = asyncio.Event()
        # Why nothing is heard at present; "" while all is well.
        self.trouble = ""

    async def listening(self) -> None:
        """Return when events are heard."""
        await self._listening.wait()

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_PAUSE
        while True:
            heard = False
            try:
                async for event in self._engine.events(self._labels):
                    if event is None:
                        heard = True
                        await self._heard()
                    else:
                        self._on_event(event)
                self._lost(f"{self._engine.host}: the Docker Engine ended its stream of events")
            except (EngineError, EngineUnreachedError) as error:
                self._lost(str(error))
            pause = FIRST_PAUSE if heard else min(pause * 2, LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _heard(self) -> None:
        if self.trouble:
            await self._on_gap()
            log.info("the engine is back", engine=self._engine.host)
        self.trouble = ""
        self._listening.set()

    def _lost(self, why: str) -> None:
        if not self.trouble:
            log.warning("the engine is lost", error=why)
        self.trouble = why
