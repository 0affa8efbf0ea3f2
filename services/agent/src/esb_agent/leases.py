"""Which owners are still there: every request of an owner renews its lease, silence lets it lapse."""

from collections.abc import Callable, Iterable


class Leases:
    """`clock()` is monotonic, in seconds. An owner first named by `forget_others` counts from then."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}

    def renew(self, owner_id: str) -> None:
        """It was heard of now."""
        self._seen[owner_id] = self._clock()

    def renew_all(self) -> None:
        """Nobody could be heard until now."""
        self._seen = dict.fromkeys(self._seen, self._clock())

    def forget_others(self, owners: Iterable[str]) -> None:
        """Only these have workers."""
        now = self._clock()
        self._seen = {owner: self._seen.get(owner, now) for owner in owners}

    def lapsed(self, owner_id: str, grace_seconds: float) -> bool:
        """Whether it is known, and was not heard of for longer than that."""
        now = self._clock()
        return now - self._seen.get(owner_id, now) > grace_seconds
