"""EventBridge's `cron(minutes hours day-of-month month day-of-week year)`: its grammar and its calendar.

    numbers, ranges (also over the end: FRI-MON), steps (0/15), lists, names of months and days
    L  last day of the month; last day of the week; 6L the last Friday     LW  last weekday of the month
    3W the weekday nearest to the 3rd, in the same month                   3#2 the second Tuesday
    ?  in exactly one of the two day fields; Sunday is 1; minutes are the finest step

Clocks that go forward skip the times in between; of a time that comes twice, when they go back, the first one
counts (EventBridge Scheduler: daylight saving time).
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import frozen

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1
    )
}
_DAYS = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 1)}
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_SATURDAY, _SUNDAY = 5, 6  # as date.weekday() counts
# Clocks are moved by two hours at most: no later look at a local time can come before this.
_SHIFT = timedelta(hours=3)

DayRule = Callable[[int, int], frozenset[int]]


class ExpressionError(ValueError):
    """An expression that EventBridge would not take; says which part and what was expected."""


@frozen
class CronFields:
    """What the six fields mean; `days` gives the days of a year's month."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: DayRule
    months: frozenset[int]
    years: frozenset[int]


@frozen
class Cron:
    """A calendar in a time zone."""

    fields: CronFields
    zone: ZoneInfo

    def next_after(self, moment: float) -> float | None:
        """Return the next time of the calendar, to the minute."""
        now = datetime.fromtimestamp(moment, UTC)
        start = now.astimezone(self.zone).replace(tzinfo=None, fold=0) - _SHIFT
        for local in self._times_from(start):
            found = local.replace(tzinfo=self.zone).astimezone(UTC)
            skipped = found.astimezone(self.zone).replace(tzinfo=None) != local
            if not skipped and found > now:
                return found.timestamp()
        return None

    def _times_from(self, start: datetime) -> Iterator[datetime]:
        """Local times, whether or not the clocks ever show them."""
        for day in self._days_from(start.date()):
            for hour in self.fields.hours:
                for minute in self.fields.minutes:
                    local = datetime(day.year, day.month, day.day, hour, minute)
                    if local >= start:
                        yield local

    def _days_from(self, start: date) -> Iterator[date]:
        for year in range(start.year, _LAST_YEAR + 1):
            if year not in self.fields.years:
                continue
            for month in range(start.month if year == start.year else 1, 13):
                if month not in self.fields.months:
                    continue
                for number in sorted(self.fields.days(year, month)):
                    day = date(year, month, number)
                    if day >= start:
                        yield day


def parse_cron(text: str) -> CronFields:
    """Read what stands in `cron(…)`.

    Raises:
        ExpressionError: not six fields, or one of them is wrong.
    """
    fields = text.upper().split()
    if len(fields) != 6:
        raise ExpressionError(f"cron: expected six fields, found {len(fields)}")
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ExpressionError("cron: expected ? in either day-of-month or day-of-week, and not in both")
    return CronFields(
        minutes=tuple(_expand("minutes", minute, 0, 59)),
        hours=tuple(_expand("hours", hour, 0, 23)),
        days=_day_of_week(weekday) if day == "?" else _day_of_month(day),
        months=frozenset(_expand("month", month, 1, 12, _MONTHS)),
        years=frozenset(_expand("year", year, _FIRST_YEAR, _LAST_YEAR, wraps=False)),
    )


def _day_of_month(field: str) -> DayRule:
    if field == "L":
        return lambda year, month: frozenset({monthrange(year, month)[1]})
    if field == "LW":
        return lambda year, month: frozenset({_nearest_weekday(year, month, monthrange(year, month)[1])})
    if field.endswith("W"):
        wanted = _value("day-of-month", field[:-1], 1, 31)
        return lambda year, month: (
            frozenset({_nearest_weekday(year, month, wanted)})
            if wanted <= monthrange(year, month)[1]
            else frozenset()
        )
    days = frozenset(_expand("day-of-month", field, 1, 31))
    return lambda year, month: days & frozenset(range(1, monthrange(year, month)[1] + 1))


def _day_of_week(field: str) -> DayRule:
    name = "day-of-week"
    if field == "L":  # the week's last day
        field = "SAT"
    if field.endswith("L"):
        weekday = _value(name, field[:-1], 1, 7, _DAYS)
        return lambda year, month: frozenset({_days_of(year, month, weekday)[-1]})
    if "#" in field:
        text, _, which_text = field.partition("#")
        weekday, which = _value(name, text, 1, 7, _DAYS), _value(name, which_text, 1, 5)
        return lambda year, month: frozenset(_days_of(year, month, weekday)[which - 1 : which])
    if "/" in field:
        raise ExpressionError(f"cron: {name}: expected no /, found {field!r}")
    weekdays = _expand(name, field, 1, 7, _DAYS)
    return lambda year, month: frozenset(
        day for weekday in weekdays for day in _days_of(year, month, weekday)
    )


def _days_of(year: int, month: int, weekday: int) -> list[int]:
    """The days of a month that are a weekday of EventBridge's, where Sunday is 1."""
    starts_on, length = monthrange(year, month)
    first = 1 + (weekday - 2 - starts_on) % 7
    return list(range(first, length + 1, 7))


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """Saturdays go back and Sundays forward, but never out of the month."""
    weekday = date(year, month, day).weekday()
    if weekday == _SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == _SUNDAY:
        return day + 1 if day < monthrange(year, month)[1] else day - 2
    return day


def _expand(
    name: str, field: str, low: int, high: int, names: dict[str, int] | None = None, *, wraps: bool = True
) -> list[int]:
    numbers: set[int] = set()
    for item in field.split(","):
        span, slash, step_text = item.partition("/")
        step = _value(name, step_text, 1, high) if slash else 1
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            first, last = low, high
        else:
            first = _value(name, first_text, low, high, names)
            last = _value(name, last_text, low, high, names) if dash else (high if slash else first)
        if last < first and not wraps:
            raise ExpressionError(f"cron: {name}: expected a range that goes up, found {span!r}")
        if last < first:  # FRI-MON, 22-2: over the end and on from the start
            last += high - low + 1
        numbers.update(low + (number - low) % (high - low + 1) for number in range(first, last + 1, step))
    return sorted(numbers)


def _value(name: str, text: str, low: int, high: int, names: dict[str, int] | None = None) -> int:
    if names and text in names:
        return names[text]
    if text.isascii() and text.isdigit() and len(text) < 5 and low <= int(text) <= high:
        return int(text)
    raise ExpressionError(f"cron: {name}: expected {low} to {high}, found {text!r}")
