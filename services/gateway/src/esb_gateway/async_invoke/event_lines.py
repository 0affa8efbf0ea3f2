"""Who is next: the events in memory, in one line for each function, and those that wait for their next try.

An event that waits stands in no line, so nobody waits behind it. No I/O and no clock: callers say what time
it is, on the monotonic clock, which nobody sets.
"""

from __future__ import annotations

from collections import Counter, deque
from heapq import heappop, heappush

from attrs import define, field

from esb_gateway.async_invoke.event_rows import StoredEvent

_BODIES_IN_MEMORY = 16 * 1024 * 1024


@define(eq=False)
class Entry:
    """An event in memory; `body` is None when it has to be read from the disk."""

    event: StoredEvent
    born: float
    due: float
    body: bytes | None = None

    def __lt__(self, other: Entry) -> bool:
        return (self.due, self.event.seq) < (other.due, other.event.seq)


@define
class _Line:
    ready: deque[Entry] = field(factory=deque)
    running: int = 0


class EventLines:
    """All events that are not brought to an end; `len` counts those that run and those that wait, too."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._later: list[Entry] = []
        self._entries: dict[int, Entry] = {}
        self._bodies = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def oldest(self) -> Entry | None:
        """The event that is here for the longest time."""
        return next(iter(self._entries.values()), None)

    @property
    def next_due(self) -> float | None:
        """When the next of those that wait for a try is due."""
        return self._later[0].due if self._later else None

    def by_function(self) -> Counter[str]:
        """How many events each function has."""
        return Counter(entry.event.function for entry in self._entries.values())

    def waiting(self) -> list[str]:
        """Functions with somebody in line."""
        return [function for function, line in self._lines.items() if line.ready]

    def enter(self, entry: Entry, now: float) -> None:
        """Take up an event; its body stays in memory while there is room for it."""
        if entry.body is not None:
            if self._bodies + len(entry.body) <= _BODIES_IN_MEMORY:
                self._bodies += len(entry.body)
            else:
                entry.body = None
        self._entries[entry.event.seq] = entry
        if entry.due > now:
            self.put_off(entry, entry.due)
        else:
            self._line(entry).ready.append(entry)

    def put_off(self, entry: Entry, due: float) -> None:
        """Let an event wait until it is due."""
        entry.due = due
        heappush(self._later, entry)

    def leave(self, entry: Entry) -> None:
        """Forget an event that was brought to an end."""
        self._entries.pop(entry.event.seq, None)
        if entry.body is not None:
            self._bodies -= len(entry.body)
            entry.body = None

    def release(self, now: float) -> None:
        """Put those that are due at the end of their lines."""
        while self._later and self._later[0].due <= now:
            entry = heappop(self._later)
            self._line(entry).ready.append(entry)

    def take(self, function: str, width: int) -> Entry | None:
        """The next of a function's line, which runs until `end`; None while `width` of them run."""
        line = self._lines.get(function)
        if line is None or not line.ready or line.running >= width:
            return None
        line.running += 1
        return line.ready.popleft()

    def take_older(self, function: str, born: float) -> Entry | None:
        """The first of a function's line that was born before `born`, whoever runs."""
        line = self._lines.get(function) or _Line()
        for place, entry in enumerate(line.ready):
            if entry.born < born:
                del line.ready[place]
                line.running += 1
                return entry
        return None

    def end(self, function: str) -> None:
        """One that was taken runs no more."""
        line = self._lines[function]
        line.running -= 1
        if not line.ready and not line.running:
            del self._lines[function]

    def _line(self, entry: Entry) -> _Line:
        return self._lines.setdefault(entry.event.function, _Line())
