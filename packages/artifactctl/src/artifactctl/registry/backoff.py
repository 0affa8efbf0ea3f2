"""How long to wait before a request is made again: longer each time, never in step with others."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from attrs import define

from artifactctl.registry.errors import RegistryError

LONGEST_WAIT = 60.0

_FIRST = 0.2
_LONGEST_STEP = 10.0

Sleep = Callable[[float], None]


@define
class Backoff:
    """The attempts at one thing; `restart` when it got somewhere."""

    attempts: int
    sleep: Sleep = time.sleep
    failed: int = 0

    def wait(self, error: RegistryError, retry_after: float | None = None) -> None:
        """Sleep before the next attempt.

        Raises:
            RegistryError: the one given, when it was the last attempt, or another wouldn't help.
        """
        self.failed += 1
        if not error.transient or self.failed >= self.attempts:
            raise error
        if retry_after is not None and retry_after > LONGEST_WAIT:
            raise error
        step = min(_FIRST * 2 ** (self.failed - 1), _LONGEST_STEP)
        jitter = step * (0.5 + random.random() / 2)  # noqa: S311 - spreads load, protects nothing
        self.sleep(jitter if retry_after is None else retry_after)

    def restart(self) -> None:
        """Count from the beginning: the last attempt made progress."""
        self.failed = 0
