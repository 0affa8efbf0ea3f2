import pytest
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_store import CLOCK_SLIP_SECONDS, open_store
from esb_gateway.workers.invoker import Call


def event(number: int, function: str = "f", body: bytes = b"{}") -> QueuedEvent:
    return QueuedEvent(function, Call(f"id-{number}", "Root=1", "ctx", body), 1000.0 + number, "live")


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
