"""The events on disk: a SQLite database in WAL mode, written through to the disk at every commit.

    events         accepted, not yet brought to an end       dead_letters   given up
    schedules      up to which moment each schedule's times are done

One process at a time: the database is locked as long as it is open. All methods block; StoreWriter runs them
in its thread, many in one transaction.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from attrs import field, frozen

from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.workers.invoker import Call

DATABASE = "events.db"
_T = TypeVar("_T")
_APPLICATION = 0x45534245  # "ESBE": told apart from other people's databases
_MIGRATIONS = (
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, function TEXT NOT NULL, qualifier TEXT,
        trace TEXT NOT NULL, client_context TEXT NOT NULL, accepted_at REAL NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0, setbacks INTEGER NOT NULL DEFAULT 0,
        next_at REAL NOT NULL DEFAULT 0, destination INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL);
    CREATE TABLE dead_letters (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, function TEXT NOT NULL,
        qualifier TEXT, trace TEXT NOT NULL, client_context TEXT NOT NULL, accepted_at REAL NOT NULL,
        failed_at REAL NOT NULL, attempts INTEGER NOT NULL, destination INTEGER NOT NULL,
        condition TEXT NOT NULL, error TEXT NOT NULL, body BLOB NOT NULL, answer BLOB);
    CREATE TABLE schedules (key TEXT PRIMARY KEY, done REAL NOT NULL) WITHOUT ROWID;
    """,
)
_ACCEPTED = "id, function, qualifier, trace, client_context, accepted_at, destination, body"
_CHECKED_BYTES = 256 * 1024 * 1024  # a larger one is not read through before the start
_BUSY_SECONDS = 5.0  # the gateway before this one may be just about to end
_WAL_BYTES = 64 * 1024 * 1024
# A clock that was wrong by more than this and set right again must not silence a schedule for as long.
CLOCK_SLIP_SECONDS = 86400.0


class StoreError(Exception):
    """The database can't be used; says which, why, and what helps."""


@frozen
class StoredEvent:
    """A row of `events`, without its body; times are seconds since the epoch.

    `attempts` counts the function's own failures, `setbacks` those of the box since then.
    """

    seq: int
    request_id: str
    function: str
    qualifier: str | None
    trace: str
    client_context: str
    accepted: float
    attempts: int = 0
    setbacks: int = 0
    next_at: float = 0.0
    destination: bool = field(default=False, converter=bool)

    def call(self, body: bytes) -> Call:
        """Return the invocation to make."""
        return Call(self.request_id, self.trace, self.client_context, body)


@frozen
class Grave:
    """Why and when an event was given up; `answer` is what its function said last, if it said anything."""

    failed_at: float
    condition: str
    error: str
    answer: bytes | None = None


@frozen
class DeadLetter:
    """A row of `dead_letters`; `body` and `answer` are None where they were not asked for."""

    seq: int
    request_id: str
    function: str
    qualifier: str | None
    trace: str
    accepted: float
    failed_at: float
    attempts: int
    condition: str
    error: str
    body: bytes | None = None
    answer: bytes | None = None


class EventStore:
    """An open database; made by `open_store`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

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
        self.finish([event.seq])
        surplus = self.dead_letter_count() - limit
        if surplus > 0:
            self._db.execute(
                "DELETE FROM dead_letters WHERE seq IN (SELECT seq FROM dead_letters ORDER BY seq LIMIT ?)",
                (surplus,),
            )
        return max(0, surplus)

    def dead_letter_count(self) -> int:
        """Return how many events were given up and are kept."""
        count: int = self._db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        return count

    def last_dead_letter(self) -> int:
        """Return the place of the newest dead letter, 0 when there is none."""
        last: int = self._db.execute("SELECT coalesce(max(seq), 0) FROM dead_letters").fetchone()[0]
        return last

    def dead_letters(
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

    def dead_letter(self, request_id: str) -> DeadLetter | None:
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
    path = directory / DATABASE
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: can't be opened: {error}") from error
    try:
        _prepare(connection, path)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise StoreError(f"{path}: in use by another gateway; stop that one first") from error
        if isinstance(error, sqlite3.OperationalError):  # the disk is full, or can't be written
            raise StoreError(f"{path}: can't be used: {error}") from error
        if isinstance(error, sqlite3.Error):
            raise StoreError(_damaged(path, str(error))) from error
        raise
    return EventStore(connection)


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    version = _number(db, "user_version")
    if _number(db, "application_id") != _APPLICATION and db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise StoreError(f"{path}: not a gateway's database; move it aside, nothing of it was changed")
    if version > len(_MIGRATIONS):
        raise StoreError(
            f"{path}: written by a newer gateway (schema {version}, this one knows {len(_MIGRATIONS)});"
            " start that version, or move the file aside; nothing of it was changed"
        )
    if path.stat().st_size <= _CHECKED_BYTES:
        found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(_damaged(path, found))
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    for number in range(version, len(_MIGRATIONS)):
        db.executescript(
            f"BEGIN IMMEDIATE; {_MIGRATIONS[number]} PRAGMA application_id = {_APPLICATION};"
            f" PRAGMA user_version = {number + 1}; COMMIT"
        )


def _number(db: sqlite3.Connection, pragma: str) -> int:
    value: int = db.execute(f"PRAGMA {pragma}").fetchone()[0]
    return value


def _damaged(path: Path, fact: str) -> str:
    return (
        f"{path}: can't be read: {' '.join(fact.split())}; put a copy in its place, or move it aside with its"
        " -wal file to start without its events; nothing of it was changed"
    )
