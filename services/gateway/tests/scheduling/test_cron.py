from datetime import UTC, datetime, timedelta

import pytest
from esb_gateway.scheduling.cron import ExpressionError
from esb_gateway.scheduling.expressions import parse_expression
from hypothesis import given, settings
from hypothesis import strategies as st


def times(expression: str, start: str, count: int = 3, timezone: str = "") -> list[str]:
    moment, found = datetime.fromisoformat(f"{start}+00:00").timestamp(), []
    schedule = parse_expression(expression, timezone)
    for _ in range(count):
        following = schedule.next_after(moment)
        if following is None:
            break
        assert following > moment
        moment = following
        found.append(datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M"))
    return found


# expression | looked at from | due then
CRON_TIMES = """
0 12 * * ? *            | 2026-03-01T12:00:00 | 2026-03-02 12:00, 2026-03-03 12:00, 2026-03-04 12:00
0 12 * * ? *            | 2026-03-01T11:59:59 | 2026-03-01 12:00, 2026-03-02 12:00, 2026-03-03 12:00
15 10 ? * MON-FRI *     | 2026-01-02T10:15:00 | 2026-01-05 10:15, 2026-01-06 10:15, 2026-01-07 10:15
0 8 1 * ? *             | 2026-01-15T00:00:00 | 2026-02-01 08:00, 2026-03-01 08:00, 2026-04-01 08:00
0/15 * * * ? *          | 2026-01-01T00:50:00 | 2026-01-01 01:00, 2026-01-01 01:15, 2026-01-01 01:30
1/10 9 * * ? *          | 2026-01-01T09:40:00 | 2026-01-01 09:41, 2026-01-01 09:51, 2026-01-02 09:01
0 10 L * ? *            | 2026-01-31T10:00:00 | 2026-02-28 10:00, 2026-03-31 10:00, 2026-04-30 10:00
0 10 LW * ? *           | 2026-01-01T00:00:00 | 2026-01-30 10:00, 2026-02-27 10:00, 2026-03-31 10:00
0 10 LW * ? *           | 2026-01-30T10:00:00 | 2026-02-27 10:00, 2026-03-31 10:00, 2026-04-30 10:00
0 10 3W * ? *           | 2026-01-01T00:00:00 | 2026-01-02 10:00, 2026-02-03 10:00, 2026-03-03 10:00
0 10 1W * ? *           | 2026-01-30T00:00:00 | 2026-02-02 10:00, 2026-03-02 10:00, 2026-04-01 10:00
15 10 ? * 6L *          | 2026-01-01T00:00:00 | 2026-01-30 10:15, 2026-02-27 10:15, 2026-03-27 10:15
0 9 ? * 3#2 *           | 2026-01-01T00:00:00 | 2026-01-13 09:00, 2026-02-10 09:00, 2026-03-10 09:00
0 9 ? * TUE#2 *         | 2026-01-01T00:00:00 | 2026-01-13 09:00, 2026-02-10 09:00, 2026-03-10 09:00
0 9 ? * L *             | 2026-01-01T00:00:00 | 2026-01-03 09:00, 2026-01-10 09:00, 2026-01-17 09:00
0 9 ? * 1,7 *           | 2026-01-01T00:00:00 | 2026-01-03 09:00, 2026-01-04 09:00, 2026-01-10 09:00
0 9 ? * FRI-MON *       | 2026-01-05T09:00:00 | 2026-01-09 09:00, 2026-01-10 09:00, 2026-01-11 09:00
0 22-1 * * ? *          | 2026-01-01T00:00:00 | 2026-01-01 01:00, 2026-01-01 22:00, 2026-01-01 23:00
0 0 29 2 ? *            | 2026-01-01T00:00:00 | 2028-02-29 00:00, 2032-02-29 00:00, 2036-02-29 00:00
0 0 ? FEB MON#5 *       | 2026-01-01T00:00:00 | 2044-02-29 00:00, 2072-02-29 00:00
0 0 1 jan,jul ? 2030-2031| 2026-01-01T00:00:00 | 2030-01-01 00:00, 2030-07-01 00:00, 2031-01-01 00:00
0 0 1 1 ? 2020          | 2026-01-01T00:00:00 |
0 0 1 1 ? 2150          | 2026-01-01T00:00:00 | 2150-01-01 00:00
0 10 31W * ? *          | 2026-01-01T00:00:00 | 2026-01-30 10:00, 2026-03-31 10:00, 2026-05-29 10:00
0 20-4/3 1 1 ? *        | 2026-01-01T00:30:00 | 2026-01-01 02:00, 2026-01-01 20:00, 2026-01-01 23:00
0 0 31 2 ? *            | 2026-01-01T00:00:00 |
"""

RATE_TIMES = """
1 minute                | 2026-01-01T00:00:30 | 2026-01-01 00:01, 2026-01-01 00:02, 2026-01-01 00:03
5 minutes               | 2026-01-01T00:05:00 | 2026-01-01 00:10, 2026-01-01 00:15, 2026-01-01 00:20
12 hours                | 2026-01-01T13:00:00 | 2026-01-02 00:00, 2026-01-02 12:00, 2026-01-03 00:00
1 day                   | 2026-01-01T13:00:00 | 2026-01-02 00:00, 2026-01-03 00:00, 2026-01-04 00:00
"""


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in row.split("|")] for row in table.strip().splitlines()]


@pytest.mark.parametrize(("fields", "start", "expected"), rows(CRON_TIMES))
def test_cron_times_are_eventbridges(fields, start, expected):
    due = [time for time in expected.split(", ") if time]
    assert times(f"cron({fields})", start, len(due) or 1) == due


@pytest.mark.parametrize(("interval", "start", "expected"), rows(RATE_TIMES))
def test_rates_are_multiples_since_the_epoch(interval, start, expected):
    assert times(f"rate({interval})", start) == expected.split(", ")


def test_a_rate_is_taken_in_singular_and_plural():
    """The producer refuses wrong ones; a generation is not refused for its grammar."""
    for text, seconds in (
        ("1 minute", 60),
        ("1 minutes", 60),
        ("2 hour", 7200),
        ("999999999 days", 86399999913600),
    ):
        assert parse_expression(f"rate({text})").seconds == seconds


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("every day", "expected rate"),
        ("rate(0 minutes)", "expected rate"),
        ("rate(5 seconds)", "expected rate"),
        ("at(2026-02-30T00:00:00)", "at: expected a date and time"),
        ("at(2026-02-01)", "or at(date and time)"),
        ("cron(0 12 * * ?)", "six fields, found 5"),
        ("cron(0 12 * * * *)", "? in either"),
        ("cron(0 12 ? * ? *)", "? in either"),
        ("cron(60 12 * * ? *)", "minutes: expected 0 to 59, found '60'"),
        ("cron(0 24 * * ? *)", "hours: expected 0 to 23"),
        ("cron(0 0 0 * ? *)", "day-of-month: expected 1 to 31"),
        ("cron(0 0 1,15W * ? *)", "day-of-month: expected 1 to 31, found '1,15'"),
        ("cron(0 0 L-3 * ? *)", "day-of-month"),
        ("cron(0 0 1 13 ? *)", "month: expected 1 to 12"),
        ("cron(0 0 ? * 8 *)", "day-of-week: expected 1 to 7"),
        ("cron(0 0 ? * 2/2 *)", "day-of-week: expected no /"),
        ("cron(0 0 ? * 2#6 *)", "expected 1 to 5"),
        ("cron(0 0 1 1 ? 1969)", "year: expected 1970 to 2199"),
        ("cron(0 0 1 1 ? 2031-2030)", "year: expected a range that goes up"),
        ("cron(0 0 ? * 3#1,6#3 *)", "expected 1 to 5"),
        ("cron(0 0 H * ? *)", "day-of-month"),
        ("cron(*/0 0 1 * ? *)", "minutes: expected 1 to 59"),
        ("cron(- 0 1 * ? *)", "minutes"),
        pytest.param(f"cron(0 {'9' * 5000} * * ? *)", "hours: expected 0 to 23", id="5000 digits"),
        pytest.param(f"rate({'9' * 5000} days)", "expected rate", id="5000 digits of a rate"),
    ],
)
def test_a_wrong_expression_is_refused_with_its_field(expression, complaint):
    with pytest.raises(ExpressionError) as caught:
        parse_expression(expression)
    assert complaint in str(caught.value)


fields = st.text("0123456789*?,-/LW#MONJAN ", max_size=6)


@given(st.tuples(fields, fields, fields, fields, fields, fields).map(" ".join))
def test_any_text_is_either_a_schedule_or_refused(text):
    try:
        schedule = parse_expression(f"cron({text})")
    except ExpressionError:
        return
    schedule.next_after(1_700_000_000.0)


@pytest.mark.parametrize(
    ("fields", "start", "expected"),
    rows("""
# Berlin, 2026-03-29: 02:00 to 03:00 are skipped; 2026-10-25: 02:00 to 03:00 come twice
30 2 * * ? *            | 2026-03-28T00:00:00 | 2026-03-28 01:30, 2026-03-30 00:30, 2026-03-31 00:30
0/30 1-3 * * ? *        | 2026-03-29T00:00:00 | 2026-03-29 00:30, 2026-03-29 01:00, 2026-03-29 01:30
30 2 * * ? *            | 2026-10-24T12:00:00 | 2026-10-25 00:30, 2026-10-26 01:30, 2026-10-27 01:30
0 8 ? * MON-FRI *       | 2026-10-23T06:00:00 | 2026-10-26 07:00, 2026-10-27 07:00, 2026-10-28 07:00
0 0/1 25 10 ? 2026      | 2026-10-25T00:30:00 | 2026-10-25 02:00, 2026-10-25 03:00, 2026-10-25 04:00
""")[1:],
)
def test_clocks_going_forward_skip_times_and_going_back_repeat_none(fields, start, expected):
    assert times(f"cron({fields})", start, timezone="Europe/Berlin") == expected.split(", ")


@pytest.mark.parametrize(
    ("zone", "fields", "start", "expected"),
    [
        ("Asia/Kolkata", "0 9 * * ? *", "2026-01-01T00:00:00", "2026-01-01 03:30, 2026-01-02 03:30"),
        ("Asia/Kathmandu", "0 0 L * ? *", "2026-01-01T00:00:00", "2026-01-30 18:15, 2026-02-27 18:15"),
        ("Pacific/Kiritimati", "0 0 1 1 ? *", "2026-06-01T00:00:00", "2026-12-31 10:00, 2027-12-31 10:00"),
        # half an hour is skipped on 2026-10-04 and comes twice on 2026-04-05
        ("Australia/Lord_Howe", "15 2 * * ? *", "2026-10-02T16:00:00", "2026-10-04 15:15, 2026-10-05 15:15"),
        ("Australia/Lord_Howe", "45 1 * * ? *", "2026-04-03T16:00:00", "2026-04-04 14:45, 2026-04-05 15:15"),
        # 30 December 2011 never came
        ("Pacific/Apia", "0 12 * * ? *", "2011-12-29T00:00:00", "2011-12-29 22:00, 2011-12-30 22:00"),
    ],
)
def test_zones_with_odd_clocks_are_counted_as_they_are(zone, fields, start, expected):
    assert times(f"cron({fields})", start, 2, zone) == expected.split(", ")


def test_an_at_is_due_once_in_its_time_zone():
    assert times("at(2026-07-01T09:00:00)", "2026-01-01T00:00:00", timezone="Asia/Tokyo") == [
        "2026-07-01 00:00"
    ]
    assert times("at(2026-07-01T09:00:00)", "2026-07-01T09:00:00") == []


def test_a_time_zone_nobody_knows_is_refused():
    for name in ("Mars/Olympus", "../../etc/passwd", "/etc/localtime", "Europe"):
        with pytest.raises(ExpressionError, match="timezone: expected an IANA name"):
            parse_expression("rate(1 minute)", name)


@given(
    st.integers(0, 59),
    st.integers(0, 23),
    st.integers(1, 28),
    st.integers(1, 12),
    st.integers(0, 2_000_000_000),
)
def test_a_plain_cron_time_is_the_next_such_moment(minute, hour, day, month, start):
    found = parse_expression(f"cron({minute} {hour} {day} {month} ? *)").next_after(float(start))
    moment = datetime.fromtimestamp(found, UTC)
    assert (moment.minute, moment.hour, moment.day, moment.month) == (minute, hour, day, month)
    assert 0 < found - start <= 366 * 86400


def minute_matches(fields: tuple[str, ...], moment: datetime) -> bool:
    """An oracle that looks at one minute at a time and knows nothing of sets, months or next times."""
    minute, hour, day, month, weekday, year = fields
    sunday_is_1 = moment.isoweekday() % 7 + 1
    last = (moment.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return (
        plain_matches(minute, moment.minute, 0, 59)
        and plain_matches(hour, moment.hour, 0, 23)
        and plain_matches(month, moment.month, 1, 12)
        and plain_matches(year, moment.year, 1970, 2199)
        and (
            weekday_matches(weekday, sunday_is_1, moment.day, last.day)
            if day == "?"
            else day_matches(day, moment, last)
        )
    )


def plain_matches(field: str, value: int, low: int, high: int) -> bool:
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, dash, end = ("*", "", "") if span == "*" else span.partition("-")
        at = low if first == "*" else int(first)
        stop = int(end) if dash else (high if step or first == "*" else at)
        while True:  # walks from the first to the last value, over the end if it must
            if at == value:
                return True
            for _ in range(int(step or 1)):
                if at == stop:
                    break
                at = low if at == high else at + 1
            else:
                continue
            break
    return False


def weekday_matches(field: str, weekday: int, day: int, last: int) -> bool:
    if field == "L":
        return weekday == 7
    if field.endswith("L"):
        return weekday == int(field[:-1]) and day + 7 > last
    if "#" in field:
        wanted, which = map(int, field.split("#"))
        return weekday == wanted and (day - 1) // 7 + 1 == which
    return plain_matches(field, weekday, 1, 7)


def day_matches(field: str, moment: datetime, last: datetime) -> bool:
    if field == "L":
        return moment.day == last.day
    if field.endswith("W"):
        wanted = last.day if field == "LW" else int(field[:-1])
        if wanted > last.day or moment.isoweekday() > 5:
            return False
        asked = moment.replace(day=wanted)
        if asked.isoweekday() < 6:
            return moment.day == wanted
        near = [asked + timedelta(days=days) for days in (-1, 1, -2, 2)]
        return moment.day == next(n.day for n in near if n.month == asked.month and n.isoweekday() < 6)
    return plain_matches(field, moment.day, 1, 31)


def plain_fields(low: int, high: int) -> st.SearchStrategy[str]:
    numbers = st.integers(low, high).map(str)
    ranges = st.tuples(numbers, numbers).map("-".join)
    steps = st.tuples(st.one_of(st.just("*"), numbers, ranges), st.integers(1, high).map(str)).map("/".join)
    return st.one_of(
        st.just("*"), st.lists(st.one_of(numbers, ranges, steps), min_size=1, max_size=3).map(",".join)
    )


weekdays = st.one_of(
    st.just("L"),
    st.integers(1, 7).map("{}L".format),
    st.tuples(st.integers(1, 7), st.integers(1, 5)).map(lambda pair: f"{pair[0]}#{pair[1]}"),
    st.lists(st.integers(1, 7).map(str), min_size=1, max_size=3).map(",".join),
    st.tuples(st.integers(1, 7).map(str), st.integers(1, 7).map(str)).map("-".join),
)
days = st.one_of(st.sampled_from(["L", "LW"]), st.integers(1, 31).map("{}W".format), plain_fields(1, 31))
cron_fields = st.tuples(
    plain_fields(0, 59),
    plain_fields(0, 23),
    st.one_of(days.map(lambda day: (day, "?")), weekdays.map(lambda weekday: ("?", weekday))),
    plain_fields(1, 12),
    st.sampled_from(["*", "2026", "2025/2", "2026-2028"]),
).map(lambda parts: (parts[0], parts[1], parts[2][0], parts[3], parts[2][1], parts[4]))


@settings(max_examples=30, deadline=None)
@given(cron_fields, st.integers(0, 3 * 365 * 1440))
def test_times_are_those_a_look_at_every_minute_finds(fields, minutes):
    """Three days of minutes from anywhere in three years: the same times, none more, none less."""
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    window = [start + timedelta(minutes=number) for number in range(1, 3 * 1440)]
    expected = [moment for moment in window if minute_matches(fields, moment)]
    schedule, found = parse_expression(f"cron({' '.join(fields)})"), []
    # Each time is found from the one before it; of dense ones the first are enough.
    moment = start
    while len(found) < 40:
        following = schedule.next_after(moment.timestamp())
        moment = datetime.fromtimestamp(following, UTC) if following is not None else window[-1]
        if following is None or moment > window[-1]:
            break
        found.append(moment)
    assert found == expected[:40]
