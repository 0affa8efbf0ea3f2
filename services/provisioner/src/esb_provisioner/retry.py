"""Patience with a store that is still starting: one deadline for the whole run, doubling pauses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from attrs import define, field

from esb_provisioner.errors import StoreUnreachableError

T = TypeVar("T")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0


@define
class Patience:
    """Repeats a call while its store is unreachable, until `seconds` have passed since the first call."""

    seconds: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    notice: Callable[[StoreUnreachableError, float], None]
    _deadline: float | None = field(default=None, init=False)

    def call(self, action: Callable[[], T]) -> T:
        """The answer of `action`.

        Raises:
            StoreUnreachableError: the last one, when the deadline has passed.
        """
        if self._deadline is None:
            self._deadline = self.clock() + self.seconds
        pause = FIRST_PAUSE
        while True:
            try:
                return action()
            except StoreUnreachableError as error:
                left = self._deadline - self.clock()
                if left <= 0:
                    raise
                self.notice(error, min(pause, left))
                self.sleep(min(pause, left))
                pause = min(pause * 2, LONGEST_PAUSE)
