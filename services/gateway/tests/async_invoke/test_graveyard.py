from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.async_invoke.event_rows import Grave
from esb_gateway.workers.invoker import Call


def event(number: int, function: str = "f", body: bytes = b"{}") -> QueuedEvent:
    return QueuedEvent(function, Call(f"id-{number}", "Root=1", "ctx", body), 1000.0 + number, "live")


def test_dead_letters_are_bounded_and_the_oldest_go_first(store):
    for number in range(5):
        store.add(event(number))
    gone = [
        store.graveyard.bury(row, Grave(2000.0, "RetriesExhausted", "boom", b"1"), 3) for row in store.load()
    ]
    assert gone == [0, 0, 0, 1, 1]
    assert [letter.request_id for letter in store.graveyard.letters(0, 10, None)] == ["id-2", "id-3", "id-4"]
    assert store.load() == []


def test_a_dead_letter_can_be_revived_with_all_it_was(store):
    store.add(event(1, body=b'{"secret": 1}'))
    store.graveyard.bury(store.load()[0], Grave(2000.0, "EventAgeExceeded", "old"), 10)
    (listed,) = store.graveyard.letters(0, 10, "f")
    assert (listed.condition, listed.body) == ("EventAgeExceeded", None)
    assert store.graveyard.letter("id-1").body == b'{"secret": 1}'
    revived = store.graveyard.revive([listed], 3000.0)
    assert store.load() == revived
    assert (revived[0].accepted, revived[0].attempts, revived[0].client_context) == (3000.0, 0, "ctx")
    assert store.body(revived[0].seq) == b'{"secret": 1}'
    assert store.graveyard.letter("id-1") is None
    assert not store.graveyard.forget("id-1")
