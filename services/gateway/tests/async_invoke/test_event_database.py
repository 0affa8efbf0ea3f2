import sqlite3
import stat
import subprocess
import sys

import pytest
from esb_gateway.async_invoke.event_database import StoreError
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_store import open_store
from esb_gateway.workers.invoker import Call


def event(number: int, function: str = "f", body: bytes = b"{}") -> QueuedEvent:
    return QueuedEvent(function, Call(f"id-{number}", "Root=1", "ctx", body), 1000.0 + number, "live")


def test_the_directory_and_the_file_are_for_the_owner_alone(tmp_path):
    open_store(tmp_path / "deep" / "state").close()
    assert stat.S_IMODE((tmp_path / "deep" / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "deep" / "state" / "events.db").stat().st_mode) == 0o600


def test_a_commit_is_written_through_to_the_disk(store):
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_second_gateway_is_told_so(tmp_path, store, monkeypatch):
    monkeypatch.setattr("esb_gateway.async_invoke.event_database._BUSY_SECONDS", 0.05)
    with pytest.raises(StoreError, match="in use by another gateway; stop that one first"):
        open_store(tmp_path)


def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    open_store(tmp_path).close()
    with sqlite3.connect(tmp_path / "events.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    before = (tmp_path / "events.db").read_bytes()
    with pytest.raises(
        StoreError, match=r"newer gateway \(schema 99, this one knows 1\); start that version"
    ):
        open_store(tmp_path)
    assert (tmp_path / "events.db").read_bytes() == before


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "events.db") as db:
        db.execute("CREATE TABLE theirs (a)")
    db.close()
    before = (tmp_path / "events.db").read_bytes()
    with pytest.raises(StoreError, match="not a gateway's database"):
        open_store(tmp_path)
    assert (tmp_path / "events.db").read_bytes() == before


def test_damage_in_the_middle_is_found_at_the_start(tmp_path):
    store = open_store(tmp_path)
    store.together(lambda: [store.add(event(n, body=b"x" * 3000)) for n in range(200)])
    store.close()
    path = tmp_path / "events.db"
    data = bytearray(path.read_bytes())
    data[8192:40960] = b"\x55" * (40960 - 8192)
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"can't be read: .*; put a copy in its place, or move it aside"):
        open_store(tmp_path)
    assert path.read_bytes() == data


def test_a_place_that_cannot_be_opened_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't be opened"):
        open_store(tmp_path / "file")


def test_a_disk_without_room_is_not_called_damage(tmp_path):
    """A child process with a limit on file sizes: pytest's own files must not meet it."""
    code = (
        "import sys; from pathlib import Path; from esb_gateway.async_invoke.event_store import open_store\n"
        "try: open_store(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)"
    )
    limited = ["bash", "-c", 'ulimit -f 1 && exec "$0" "$@"', sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=30, check=False)
    assert "can't be used: " in done.stdout, done.stderr


def test_what_a_long_queue_left_is_given_back_at_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr("esb_gateway.async_invoke.event_database._FREE_BYTES", 1_000_000)
    store = open_store(tmp_path)
    seqs = store.add_all([event(number, body=b"x" * 100_000) for number in range(30)])
    store.finish(seqs[:-1])
    store.close()
    assert (tmp_path / "events.db").stat().st_size > 3_000_000
    again = open_store(tmp_path)
    assert (tmp_path / "events.db").stat().st_size < 200_000
    assert [row.seq for row in again.load()] == [30]
    assert len(again.body(30)) == 100_000
    assert again.add(event(31)) == 31
    again.close()
