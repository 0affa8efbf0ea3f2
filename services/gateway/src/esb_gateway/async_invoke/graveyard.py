"""Events given up: one table of the database, bounded, from which they can be called back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from esb_gateway.async_invoke.event_rows import DeadLetter, Grave, StoredEvent


class Graveyard:
    """The table `dead_letters` of an open database; part of whatever transaction runs there."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def bury(self, event: StoredEvent, grave: Grave, limit: int) -> int:
        """Move an event to the dead letters; return how many of the oldest had to go for it."""
        self._db.execute(
            "INSERT OR REPLACE INTO dead_letters (id, function, qualifier, trace, client_context,"
            " accepted_at, failed_at, attempts, destination, condition, error, body, answer)"
            " SELECT id, function, qualifier, trace, client_context, accepted_at, ?, ?, destination, ?, ?,"
            " body, ?"
            " FROM events WHERE seq = ?",
            (grave.failed_at, event.attempts, grave.condition, grave.error, grave.answer, event.seq),
        )
        self._db.execute("DELETE FROM events WHERE seq = ?", (event.seq,))
        surplus = self.count() - limit
        if surplus > 0:
            self._db.execute(
                "DELETE FROM dead_letters WHERE seq IN (SELECT seq FROM dead_letters ORDER BY seq LIMIT ?)",
                (surplus,),
            )
        return max(0, surplus)

    def count(self) -> int:
        """Return how many events were given up and are kept."""
        count: int = self._db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        return count

    def last(self) -> int:
        """Return the place of the newest dead letter, 0 when there is none."""
        last: int = self._db.execute("SELECT coalesce(max(seq), 0) FROM dead_letters").fetchone()[0]
        return last

    def letters(
        self, after: int, limit: int, function: str | None, until: int = 2**63 - 1
    ) -> list[DeadLetter]:
        """Return dead letters behind the place `after`, up to `until`, oldest first, without payloads."""
        rows = self._db.execute(
            "SELECT seq, id, function, qualifier, trace, accepted_at, failed_at, attempts, condition, error"
            " FROM dead_letters WHERE seq > ? AND seq <= ? AND (? IS NULL OR function = ?)"
            " ORDER BY seq LIMIT ?",
            (after, until, function, function, limit),
        )
        return [DeadLetter(*row) for row in rows]

    def letter(self, request_id: str) -> DeadLetter | None:
        """Return a dead letter with all it has."""
        row = self._db.execute(
            "SELECT seq, id, function, qualifier, trace, accepted_at, failed_at, attempts, condition, error,"
            " body, answer FROM dead_letters WHERE id = ?",
            (request_id,),
        ).fetchone()
        return DeadLetter(*row) if row else None

    def revive(self, dead: Iterable[DeadLetter], now: float) -> list[StoredEvent]:
        """Make dead letters events again, as if they had just been accepted, with their request ids."""
        revived = []
        for letter in dead:
            seq = self._db.execute(
                "INSERT INTO events (id, function, qualifier, trace, client_context, accepted_at,"
                " destination, body) SELECT id, function, qualifier, trace, client_context, ?, destination,"
                " body FROM dead_letters WHERE seq = ?",
                (now, letter.seq),
            ).lastrowid
            self._db.execute("DELETE FROM dead_letters WHERE seq = ?", (letter.seq,))
            context, destination = self._db.execute(
                "SELECT client_context, destination FROM events WHERE seq = ?", (seq,)
            ).fetchone()
            revived.append(
                StoredEvent(
                    seq or 0,
                    letter.request_id,
                    letter.function,
                    letter.qualifier,
                    letter.trace,
                    context,
                    now,
                    destination=destination,
                )
            )
        return revived

    def forget(self, request_id: str) -> bool:
        """Delete a dead letter; False when there is none of that id."""
        return self._db.execute("DELETE FROM dead_letters WHERE id = ?", (request_id,)).rowcount > 0
