import json

from esb_gateway.scheduling.expressions import Rate, parse_expression
from esb_gateway.scheduling.schedules import Firing, Schedule, ScheduleBook, event_payload
from hypothesis import given
from hypothesis import strategies as st


def schedule(expression: str = "rate(1 minute)", function: str = "f", input: str | None = None) -> Schedule:
    return Schedule(function, expression, parse_expression(expression), input)


def fired(book: ScheduleBook, now: float) -> list[float]:
    firings = book.due(now).firings
    for firing in firings:
        book.settle(firing)
    return [firing.time for firing in firings]


def test_a_new_schedule_starts_with_its_next_time():
    book = ScheduleBook()
    book.replace([schedule()], 90.0)
    assert book.next_time() == 120.0
    assert fired(book, 119.9) == []
    assert fired(book, 120.0) == [120.0]
    assert fired(book, 120.5) == []
    assert book.next_time() == 180.0


def test_a_reload_neither_repeats_nor_skips_a_time():
    book = ScheduleBook()
    book.replace([schedule()], 90.0)
    book.replace([schedule()], 100.0)
    assert fired(book, 120.0) == [120.0]
    book.replace([schedule()], 120.0)
    assert fired(book, 120.1) == []
    # Due, but not yet fired when the next generation comes.
    book.replace([schedule()], 180.2)
    assert fired(book, 180.3) == [180.0]


def test_a_schedule_taken_away_and_brought_back_does_not_repeat_its_time():
    book = ScheduleBook()
    book.replace([schedule()], 90.0)
    assert fired(book, 120.0) == [120.0]
    book.replace([], 120.1)
    assert book.next_time() is None
    book.replace([schedule()], 120.2)
    assert fired(book, 120.3) == []


def test_a_changed_expression_or_input_is_another_schedule():
    book = ScheduleBook()
    book.replace([schedule(), schedule(input="{}"), schedule("rate(2 minutes)")], 90.0)
    assert len(book) == 3


def test_schedules_alike_in_everything_are_one():
    book = ScheduleBook()
    book.replace([schedule(), schedule()], 30.0)
    assert fired(book, 61.0) == [60.0]


def test_a_restart_at_the_very_moment_fires_that_time_once():
    book = ScheduleBook()
    done = book.replace([schedule()], 30.0)
    again = ScheduleBook()
    assert again.replace([schedule()], 60.0, done) == done
    assert fired(again, 60.0) == [60.0]
    third = ScheduleBook()
    third.replace([schedule()], 60.0, dict.fromkeys(done, 60.0))
    assert fired(third, 60.0) == []


def test_a_renamed_function_has_new_schedules():
    book = ScheduleBook()
    book.replace([schedule(function="old")], 30.0)
    assert list(book.replace([schedule(function="new")], 90.0).values()) == [90.0]
    assert fired(book, 119.0) == []
    assert fired(book, 120.0) == [120.0]


def test_of_missed_times_the_latest_fires_unless_it_is_too_old():
    book = ScheduleBook(grace=300.0)
    book.replace([schedule(), schedule("rate(1 day)")], 0.0)
    due = book.due(2 * 86400.0 + 1000.0)
    assert [(f.schedule.expression, f.time) for f in due.firings] == [("rate(1 minute)", 173760.0)]
    assert [(f.schedule.expression, f.time) for f in due.missed] == [
        ("rate(1 minute)", 60.0),
        ("rate(1 day)", 86400.0),
    ]
    book.settle(due.firings[0])
    assert book.next_time() == 173820.0


def test_a_restart_goes_on_where_the_earlier_run_was():
    daily = schedule("rate(1 day)")
    book = ScheduleBook(grace=300.0)
    assert book.replace([daily], 86400.0 * 3 + 100, {daily.key: 86400.0 * 2}) == {daily.key: 86400.0 * 2}
    assert fired(book, 86400.0 * 3 + 100) == [86400.0 * 3]
    book = ScheduleBook(grace=300.0)
    book.replace([daily], 86400.0 * 3 + 100, {daily.key: 86400.0 * 3})
    assert fired(book, 86400.0 * 3 + 100) == []


def test_what_was_not_taken_stays_due():
    book = ScheduleBook()
    book.replace([schedule()], 90.0)
    assert [firing.time for firing in book.due(120.0).firings] == [120.0]
    assert [firing.time for firing in book.due(121.0).firings] == [120.0]
    assert fired(book, 122.0) == [120.0]
    assert fired(book, 123.0) == []


def test_a_clock_that_was_wrong_by_years_does_not_silence_a_schedule():
    book = ScheduleBook()
    book.replace([schedule()], 4e9)
    assert book.due(1e9).firings == ()
    assert fired(book, 1e9 + 60) == [1e9 + 20]


def test_a_clock_set_back_does_not_fire_again():
    book = ScheduleBook()
    book.replace([schedule()], 90.0)
    assert fired(book, 120.0) == [120.0]
    assert fired(book, 60.0) == []
    assert book.next_time() == 180.0


def test_a_schedule_without_a_future_is_quiet():
    book = ScheduleBook()
    book.replace([schedule("cron(0 0 1 1 ? 1999)")], 1_700_000_000.0)
    assert book.next_time() is None
    assert fired(book, 2_000_000_000.0) == []


def test_the_event_is_eventbridges_unless_there_is_input():
    firing = Firing(schedule(function="clean"), 1_700_000_040.0)
    event = json.loads(
        event_payload(firing, region="eu-west-1", account="123456789012", new_id=lambda: "id-1")
    )
    assert event == {
        "version": "0",
        "id": "id-1",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2023-11-14T22:14:00Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:events:eu-west-1:123456789012:rule/clean"],
        "detail": {},
    }
    given_input = Firing(schedule(input='{"depth": 3}'), 0.0)
    assert event_payload(given_input, region="r", account="a") == b'{"depth": 3}'


@given(
    st.integers(1, 600),
    st.lists(st.floats(0.01, 45, allow_nan=False), min_size=1, max_size=60),
    st.sets(st.integers(0, 59)),
)
def test_every_time_fires_exactly_once_whenever_one_looks_or_reloads(seconds, steps, reloads):
    """As long as somebody looks at least once a minute."""
    one = Schedule("f", "every", Rate(seconds))
    book, now, times = ScheduleBook(), 0.0, []
    book.replace([one], now)
    for index, step in enumerate(steps):
        now += step
        if index in reloads:
            book.replace([one], now)
        times += fired(book, now)
    assert times == sorted(set(times))
    assert all(time % seconds == 0 for time in times)
    # Times closer together than the looks collapse into the first of them; none else is lost.
    assert len(times) >= min(now // seconds, sum(1 for step in steps if step >= seconds))


@given(
    st.lists(
        st.one_of(
            st.floats(0, 4000, allow_nan=False),  # time passes
            st.floats(-80_000, 0, allow_nan=False),  # the clock is set back
            st.sampled_from(["reload", "restart", "killed"]),
        ),
        max_size=60,
    )
)
def test_no_time_fires_twice_whatever_happens_to_box_and_clock(story):
    """`killed` stands for an end between the commit and the moment the book hears of it."""
    one = Schedule("f", "every", Rate(60))
    book, now, times = ScheduleBook(), 1_000_000.0, []
    stored = book.replace([one], now)
    for act in story:
        if isinstance(act, float):
            now += act
        elif act == "reload":
            book.replace([one], now, stored)
        else:
            book = ScheduleBook()
            book.replace([one], now, stored)
        for firing in book.due(now).firings:
            if firing.time > stored[one.key]:  # what the database decides, in one transaction
                stored[one.key] = firing.time
                times.append(firing.time)
            if act != "killed":
                book.settle(firing)
    assert times == sorted(set(times))
