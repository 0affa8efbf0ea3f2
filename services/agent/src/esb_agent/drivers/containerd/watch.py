"""What happens to workers, as containerd tells it: a crash is seen the moment it happens.

containerd does not say when it begins to tell, and its stream breaks when it goes away. So all is looked at
once the stream is open, and now and then: an event that was missed is made up for.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from esb_agent.drivers.containerd.client import Containerd, Event
from esb_agent.drivers.containerd.rpc import ContainerdError, ContainerdUnreachedError

log = structlog.get_logger()
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
LOOK_SECONDS = 3.0


class Watch:
    """`on_event` is told of each event, `look` sees how all workers are."""

    def __init__(
        self, client: Containerd, *, on_event: Callable[[Event], None], look: Callable[[], Awaitable[None]]
    ) -> None:
        self._client = client
        self._on_event = on_event
        self._look = look
        # Why nothing is heard at present; "" while all is well.
        self.trouble = ""

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_PAUSE
        while True:
            looking = asyncio.create_task(self._look_now_and_then())
            try:
                async for event in self._client.events():
                    self._on_event(event)
                    pause = FIRST_PAUSE
                self._lost(f"containerd at {self._client.address} ended its stream of events")
            except (ContainerdError, ContainerdUnreachedError) as error:
                self._lost(str(error))
            finally:
                looking.cancel()
                with suppress(asyncio.CancelledError):
                    await looking
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _look_now_and_then(self) -> None:
        """Beside an open stream."""
        while True:
            try:
                await self._client.connect()
                await self._look()
            except (ContainerdError, ContainerdUnreachedError) as error:
                self._lost(str(error))
                await asyncio.sleep(FIRST_PAUSE)
                continue
            if self.trouble:
                log.info("containerd is back", address=self._client.address)
            self.trouble = ""
            await asyncio.sleep(LOOK_SECONDS)

    def _lost(self, why: str) -> None:
        if not self.trouble:
            log.warning("containerd is lost", error=why)
        self.trouble = why
