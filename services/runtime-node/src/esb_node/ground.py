"""What a box stands on besides processes: nothing in process mode, a network in containerd mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Tell = Callable[[str], None]


class Ground(Protocol):
    """Laid before the first service starts, lifted after the last one has ended."""

    def lay(self, tell: Tell) -> None:
        """Make it; what is there already is taken over. Raises NodeError when this host does not let us."""

    def mend(self, tell: Tell) -> None:
        """Look, now and then, whether it still stands; called at every turn."""

    def before_stop(self, service: str, tell: Tell) -> None:
        """Do what can only be done while the service still runs."""

    def lift(self, tell: Tell) -> None:
        """Take everything away."""

    def spared(self) -> set[int]:
        """Processes that go on when who started them ends: never cleared away as orphans."""


class BareGround:
    """Process mode: there is nothing to lay."""

    def lay(self, tell: Tell) -> None:
        """See `Ground`."""

    def mend(self, tell: Tell) -> None:
        """See `Ground`."""

    def before_stop(self, service: str, tell: Tell) -> None:
        """See `Ground`."""

    def lift(self, tell: Tell) -> None:
        """See `Ground`."""

    def spared(self) -> set[int]:
        """See `Ground`."""
        return set()
