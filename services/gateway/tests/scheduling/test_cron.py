from datetime import UTC, datetime

import pytest
from esb_gateway.scheduling.cron import ExpressionError, parse_expression
from hypothesis import given
from hypothesis import strategies as st


def times(expression: str, start: str, count: int = 3) -> list[str]:
    moment, found = datetime.fromisoformat(f"{start}+00:00").timestamp(), []
    schedule = parse_expression(expression)
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


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("every day", "expected rate"),
        ("rate(0 minutes)", "expected rate"),
        ("rate(5 seconds)", "expected rate"),
        ("at(2026-01-01T00:00:00)", "expected rate"),
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
        ("cron(0 0 1 1 ? 2150)", "year: expected a year up to 2099"),
        ("cron(0 0 H * ? *)", "day-of-month"),
        ("cron(*/0 0 1 * ? *)", "minutes: expected 1 to 59"),
        ("cron(- 0 1 * ? *)", "minutes"),
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
