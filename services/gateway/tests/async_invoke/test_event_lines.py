from esb_gateway.async_invoke.event_lines import Entry, EventLines
from esb_gateway.async_invoke.event_rows import StoredEvent
from hypothesis import given
from hypothesis import strategies as st


def entry(seq: int, function: str = "f", due: float = 0.0, body: bytes | None = None) -> Entry:
    return Entry(StoredEvent(seq, str(seq), function, None, "t", "", 0.0), 0.0, due, body)


def test_a_line_is_first_in_first_out_and_as_wide_as_it_is_told():
    lines = EventLines()
    for seq in range(4):
        lines.enter(entry(seq), 0.0)
    assert [lines.take("f", 2).event.seq for _ in range(2)] == [0, 1]
    assert lines.take("f", 2) is None
    lines.end("f")
    assert lines.take("f", 2).event.seq == 2
    assert len(lines) == 4


def test_bodies_beyond_the_room_are_left_on_the_disk(monkeypatch):
    monkeypatch.setattr("esb_gateway.async_invoke.event_lines._BODIES_IN_MEMORY", 10)
    lines, kept, left = EventLines(), entry(1, body=b"x" * 10), entry(2, body=b"y")
    lines.enter(kept, 0.0)
    lines.enter(left, 0.0)
    assert (kept.body, left.body) == (b"x" * 10, None)
    lines.leave(kept)
    again = entry(3, body=b"z")
    lines.enter(again, 0.0)
    assert again.body == b"z"


def test_one_that_is_too_old_is_found_behind_younger_ones():
    lines = EventLines()
    for born in (50.0, 10.0, 60.0):
        lines.enter(Entry(entry(int(born)).event, born, 0.0), 0.0)
    assert lines.take_older("f", 20.0).born == 10.0
    assert lines.take_older("f", 20.0) is None
    assert [lines.take("f", 9).born for _ in range(2)] == [50.0, 60.0]


acts = st.one_of(
    st.tuples(st.just("enter"), st.sampled_from("ab"), st.integers(0, 9)),
    st.tuples(st.just("take"), st.sampled_from("ab"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["finish", "again"]), st.sampled_from("ab"), st.integers(1, 9)),
    st.tuples(st.just("wait"), st.just(""), st.integers(0, 9)),
)


@given(st.lists(acts, max_size=120))
def test_no_event_is_lost_or_run_twice_at_once_whatever_happens(story):
    lines, now, made = EventLines(), 0.0, 0
    running: dict[str, list[Entry]] = {"a": [], "b": []}
    alive: set[int] = set()
    for act, function, number in story:
        if act == "enter":
            made += 1
            alive.add(made)
            lines.enter(entry(made, function, now + number), now)
        elif act == "take":
            taken = lines.take(function, number)
            if taken:
                assert len(running[function]) < number
                assert taken.due <= now
                running[function].append(taken)
        elif act == "wait":
            now += number
            lines.release(now)
        elif running[function]:
            one = running[function].pop(0)
            if act == "finish":
                lines.leave(one)
                alive.discard(one.event.seq)
            else:
                lines.put_off(one, now + number)
            lines.end(function)
    assert len(lines) == len(alive)
    lines.release(now + 100)
    left = []
    for function in ("a", "b"):
        while taken := lines.take(function, 10_000):
            left.append(taken.event.seq)
        left += [one.event.seq for one in running[function]]
    assert sorted(left) == sorted(alive)
