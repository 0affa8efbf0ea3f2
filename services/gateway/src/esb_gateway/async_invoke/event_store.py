"""The accepted events on disk, and the moments of schedules.

All methods block; StoreWriter runs them in its thread, many in one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from esb_gateway.async_invoke.event_database import open_database
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_rows import StoredEvent
from esb_gateway.async_invoke.graveyard import Graveyard

_T = TypeVar("_T")
_ACCEPTED = "id, function, qualifier, trace, client_context, accepted_at, destination, body"
# A clock that was wrong by more than this and set right again must not silence a schedule for as long.
CLOCK_SLIP_SECONDS = 86400.0


class EventStore:
    """An open database; made by `open_store`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.graveyard = Graveyard(connection)

    def together(self, work: Callable[[], _T]) -> _T:
        """Do `work` in one transaction, which is on disk when this returns."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            result = work()
            self._db.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself when the disk is full, say.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return result

    def close(self) -> None:
        """Close it; whatever was committed is in the one file then."""
        self._db.close()

    def add(self, event: QueuedEvent) -> int:
        """Insert an event; return its place in the order of acceptance."""
        return self.add_all([event])[0]

    def add_all(self, events: Sequence[QueuedEvent]) -> list[int]:
        """Insert events with one statement.

        Each statement gives the interpreter's lock away, and a busy event loop gives it back late.
        """
        values = [
            value
            for event in events
            for value in (
                event.call.request_id,
                event.function,
                event.qualifier,
                event.call.trace,
                event.call.client_context,
                event.accepted,
                event.destination,
                event.call.body,
            )
        ]
        places = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?)"] * len(events))
        insert = f"INSERT INTO events ({_ACCEPTED}) VALUES {places}"  # noqa: S608 - places, no values
        last = self._db.execute(insert, values).lastrowid or 0
        return list(range(last - len(events) + 1, last + 1))  # AUTOINCREMENT: without gaps, upwards

    def load(self) -> list[StoredEvent]:
        """Return all events in the order of acceptance."""
        rows = self._db.execute(
            "SELECT seq, id, function, qualifier, trace, client_context, accepted_at, attempts, setbacks,"
            " next_at, destination FROM events ORDER BY seq"
        )
        return [StoredEvent(*row) for row in rows]

    def body(self, seq: int) -> bytes:
        """Return an event's payload."""
        found: bytes = self._db.execute("SELECT body FROM events WHERE seq = ?", (seq,)).fetchone()[0]
        return found

    def finish(self, seqs: Iterable[int]) -> None:
        """Delete events that were delivered."""
        # Numbers of our own, and one statement, as above.
        numbers = ",".join(str(int(seq)) for seq in seqs)
        self._db.execute(f"DELETE FROM events WHERE seq IN ({numbers})")  # noqa: S608

    def postpone(self, event: StoredEvent) -> None:
        """Write down how often it was tried and when to try again."""
        self._db.execute(
            "UPDATE events SET attempts = ?, setbacks = ?, next_at = ? WHERE seq = ?",
            (event.attempts, event.setbacks, event.next_at, event.seq),
        )

    def redirect(self, seq: int, event: QueuedEvent) -> int:
        """Put another event in the place of one that was given up."""
        self.finish([seq])
        return self.add(event)

    def fire(self, schedule: str, moment: float, event: QueuedEvent) -> int | None:
        """Insert the event of a schedule's time unless that time is done; both or neither are written."""
        changed = self._db.execute(
            "INSERT INTO schedules (key, done) VALUES (?, ?) ON CONFLICT (key) DO UPDATE"
            " SET done = excluded.done WHERE done < excluded.done OR done > excluded.done + ?",
            (schedule, moment, CLOCK_SLIP_SECONDS),
        )
        return self.add(event) if changed.rowcount else None

    def schedules(self) -> dict[str, float]:
        """Return up to which moment the times of each schedule are done."""
        return dict(self._db.execute("SELECT key, done FROM schedules"))

    def keep_schedules(self, done: Mapping[str, float]) -> None:
        """Have exactly these schedules; the moments of those known already stay."""
        known = self.schedules()
        self._db.executemany(
            "DELETE FROM schedules WHERE key = ?", [(key,) for key in known if key not in done]
        )
        self._db.executemany("INSERT OR IGNORE INTO schedules (key, done) VALUES (?, ?)", done.items())


def open_store(directory: Path) -> EventStore:
    """Open the events of a state directory, and make what is missing; directory 0700, file 0600.

    Raises:
        StoreError: it is damaged, of a newer gateway, somebody else's, in use, or out of reach. Nothing of it
            was changed then.
    """
    return EventStore(open_database(directory))
