"""How often somebody may try: a bucket of tries per client address and per user name, filled again slowly.

Buckets are slots of a fixed table, found by a hash with a key of this process: no flood of names takes
memory, pushes another bucket out, or aims at somebody's slot.
"""

from __future__ import annotations

import ipaddress
import math
import secrets
from collections.abc import Callable
from hashlib import blake2b

_SLOTS = 4096


class Tries:
    """`burst` tries at once, then one more every `seconds`."""

    def __init__(self, monotonic: Callable[[], float], *, burst: int, seconds: float) -> None:
        self._monotonic = monotonic
        self._burst = burst
        self._seconds = seconds
        self._key = secrets.token_bytes(16)
        self._slots: list[tuple[float, float]] = [(float(burst), -math.inf)] * _SLOTS

    def wait(self, who: str) -> int | None:
        """Return None when one more try is allowed, else in how many seconds it will be."""
        left = self._left(self._slot(who))
        return None if left >= 1 else max(1, math.ceil((1 - left) * self._seconds))

    def take(self, who: str) -> None:
        """Count a try."""
        self._change(who, -1)

    def give_back(self, who: str) -> None:
        """Count a try no longer: it was a good one."""
        self._change(who, 1)

    def _change(self, who: str, by: int) -> None:
        slot = self._slot(who)
        left = min(float(self._burst), max(0.0, self._left(slot) + by))
        self._slots[slot] = (left, self._monotonic())

    def _left(self, slot: int) -> float:
        left, since = self._slots[slot]
        return min(float(self._burst), left + (self._monotonic() - since) / self._seconds)

    def _slot(self, who: str) -> int:
        digest = blake2b(who.encode("utf-8", "surrogatepass"), key=self._key, digest_size=8).digest()
        return int.from_bytes(digest) % _SLOTS


def network(address: str) -> str:
    """Return who an address stands for: itself, or with IPv6 its /64, which is one customer's."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:  # as a socket for both versions shows it; a /64 would hold them all
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
