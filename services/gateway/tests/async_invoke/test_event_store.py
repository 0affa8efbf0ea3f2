import sqlite3
import stat
import subprocess
import sys

import pytest
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_store import CLOCK_SLIP_SECONDS, Grave, StoreError, open_store
from esb_gateway.workers.invoker import Call


def event(number: int, function: str = "f", body: bytes = b"{}") -> QueuedEvent:
    return QueuedEvent(function, Call(f"id-{number}", "Root=1", "ctx", body), 1000.0 + number, "live")


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def test_the_directory_and_the_file_are_for_the_owner_alone(tmp_path):
    open_store(tmp_path / "deep" / "state").close()
    assert stat.S_IMODE((tmp_path / "deep" / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "deep" / "state" / "events.db").stat().st_mode) == 0o600


def test_what_was_added_is_there_after_a_restart_in_order(tmp_path):
    store = open_store(tmp_path)
    store.together(lambda: [store.add(event(number)) for number in range(3)])
    store.close()
    again = open_store(tmp_path)
    assert [row.request_id for row in again.load()] == ["id-0", "id-1", "id-2"]
    first = again.load()[0]
    assert (first.function, first.qualifier, first.accepted) == ("f", "live", 1000.0)
    assert first.call(again.body(first.seq)) == Call("id-0", "Root=1", "ctx", b"{}")
    again.close()


def test_a_commit_is_written_through_to_the_disk(store):
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_transaction_is_whole_or_nothing(store):
    def work() -> None:
        store.add(event(1))
        raise OSError("half-way")

    with pytest.raises(OSError, match="half-way"):
        store.together(work)
    assert store.load() == []


def test_a_time_of_a_schedule_is_taken_once(store):
    assert store.fire("s", 60.0, event(1)) == 1
    assert store.fire("s", 60.0, event(2)) is None
    assert store.fire("s", 30.0, event(3)) is None
    assert store.fire("s", 120.0, event(4)) == 2
    assert store.schedules() == {"s": 120.0}
    # A clock that had been far ahead.
    store.fire("s", 120.0 + 2 * CLOCK_SLIP_SECONDS, event(5))
    assert store.fire("s", 180.0, event(6)) is not None


def test_known_schedules_keep_their_moment_and_unknown_ones_go(store):
    store.keep_schedules({"a": 1.0, "b": 2.0})
    store.keep_schedules({"b": 99.0, "c": 3.0})
    assert store.schedules() == {"b": 2.0, "c": 3.0}


def test_dead_letters_are_bounded_and_the_oldest_go_first(store):
    for number in range(5):
        store.add(event(number))
    gone = [store.bury(row, Grave(2000.0, "RetriesExhausted", "boom", b"1"), 3) for row in store.load()]
    assert gone == [0, 0, 0, 1, 1]
    assert [letter.request_id for letter in store.dead_letters(0, 10, None)] == ["id-2", "id-3", "id-4"]
    assert store.load() == []


def test_a_dead_letter_can_be_revived_with_all_it_was(store):
    store.add(event(1, body=b'{"secret": 1}'))
    store.bury(store.load()[0], Grave(2000.0, "EventAgeExceeded", "old"), 10)
    (listed,) = store.dead_letters(0, 10, "f")
    assert (listed.condition, listed.body) == ("EventAgeExceeded", None)
    assert store.dead_letter("id-1").body == b'{"secret": 1}'
    revived = store.revive([listed], 3000.0)
    assert store.load() == revived
    assert (revived[0].accepted, revived[0].attempts, revived[0].client_context) == (3000.0, 0, "ctx")
    assert store.body(revived[0].seq) == b'{"secret": 1}'
    assert store.dead_letter("id-1") is None
    assert not store.forget("id-1")


def test_a_second_gateway_is_told_so(tmp_path, store, monkeypatch):
    monkeypatch.setattr("esb_gateway.async_invoke.event_store._BUSY_SECONDS", 0.05)
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
