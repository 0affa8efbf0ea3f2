"""The database file: its tables, how it is opened, and what is said when it can't be.

    events         accepted, not yet brought to an end       dead_letters   given up
    schedules      up to which moment each schedule's times are done

SQLite in WAL mode, written through to the disk at every commit. One process at a time: the database is locked
as long as it is open.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

DATABASE = "events.db"
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
_CHECKED_BYTES = 256 * 1024 * 1024  # a larger one is not read through before the start
_BUSY_SECONDS = 5.0  # the gateway before this one may be just about to end
_WAL_BYTES = 64 * 1024 * 1024
_FREE_BYTES = 64 * 1024 * 1024
_COPIED_BYTES = 64 * 1024 * 1024


class StoreError(Exception):
    """The database can't be used; says which, why, and what helps."""


def open_database(directory: Path) -> sqlite3.Connection:
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
    return connection


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
    _shrink(db)


def _shrink(db: sqlite3.Connection) -> None:
    """Give back to the disk what a queue that was long has left, where little has to be copied for it."""
    page, pages, free = (_number(db, name) for name in ("page_size", "page_count", "freelist_count"))
    if free * page > _FREE_BYTES and (pages - free) * page <= _COPIED_BYTES:
        with suppress(sqlite3.OperationalError):  # no room for the copy: it stays as it is
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _number(db: sqlite3.Connection, pragma: str) -> int:
    value: int = db.execute(f"PRAGMA {pragma}").fetchone()[0]
    return value


def _damaged(path: Path, fact: str) -> str:
    return (
        f"{path}: can't be read: {' '.join(fact.split())}; put a copy in its place, or move it aside with its"
        " -wal file to start without its events; nothing of it was changed"
    )
