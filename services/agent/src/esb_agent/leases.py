"""Which owners are still there: every request of an owner renews its lease, silence lets it lapse."""

from collections.abc import Callable, Iterable


class Leases:
    """`clock()` is monotonic, in seconds. An owner first seen in `lapsed` counts from then."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}

    def renew(self, owner_id: str) -> None:
        """It was heard of now."""
        self._seen[owner_id] = self._clock()

    def lapsed(self, owners: Iterable[str], grace_seconds: float) -> frozenset[str]:
        """Those of these owners not heard of for longer than that. Others are forgotten."""
        now = self._clock()
        self._seen = {owner: self._seen.get(owner, now) for owner in owners}
        return frozenset(owner for owner, seen in self._seen.items() if now - seen > grace_seconds)
