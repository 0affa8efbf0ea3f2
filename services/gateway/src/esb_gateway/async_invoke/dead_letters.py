"""Events given up: to be looked at, called back, or forgotten."""

from __future__ import annotations

from esb_gateway.async_invoke.event_rows import DeadLetter
from esb_gateway.async_invoke.intake import Intake
from esb_gateway.async_invoke.store_writer import StoreWriter

_REPLAYED_TOGETHER = 100


class DeadLetters:
    """The graveyard, as the event loop sees it."""

    def __init__(self, writer: StoreWriter, intake: Intake) -> None:
        self._writer = writer
        self._intake = intake

    async def list(self, after: int, limit: int, function: str | None) -> tuple[list[DeadLetter], int]:
        """Return those behind the place `after`, without payloads, and how many there are in all."""
        return await self._writer.do(
            lambda store: (store.graveyard.letters(after, limit, function), store.graveyard.count())
        )

    async def find(self, request_id: str) -> DeadLetter | None:
        """Return one with its payload."""
        return await self._writer.do(lambda store: store.graveyard.letter(request_id))

    async def forget(self, request_id: str) -> bool:
        """Delete one; False when there is none of that id."""
        return await self._writer.do(lambda store: store.graveyard.forget(request_id))

    async def replay(self, request_id: str) -> bool:
        """Make one an event again, as new as on its first day; False when there is none of that id.

        Raises:
            ThrottledError: there is no room.
        """
        return bool(await self._intake.revive(lambda store: [store.graveyard.letter(request_id)], 1))

    async def replay_all(self, function: str | None = None) -> int:
        """Make all, or all of a function, events again; those there is no room for stay where they are.

        Raises:
            ThrottledError: there is room for none.
        """
        # Those that die again meanwhile are left alone.
        last = await self._writer.do(lambda store: store.graveyard.last())
        replayed = 0
        while replayed == 0 or self._intake.room > 0:
            some = await self._intake.revive(
                lambda store: store.graveyard.letters(0, _REPLAYED_TOGETHER, function, last),
                _REPLAYED_TOGETHER,
            )
            replayed += len(some)
            if len(some) < _REPLAYED_TOGETHER:
                break
        return replayed
