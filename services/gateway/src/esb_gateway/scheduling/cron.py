"""Schedule expressions as EventBridge has them: `rate(5 minutes)` and `cron(0 10 ? * 6L *)`, in UTC.

The grammar is read here, because EventBridge's is its own (six fields, Sunday is 1, `?` in exactly one day
field); the calendar is croniter's, which knows L, W, # and years. Times of a rate are multiples of it since
the epoch, so that they stay the same across reloads and restarts.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Protocol

from attrs import frozen
from croniter import CroniterBadDateError, croniter  # type: ignore[import-untyped] # ships no types

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1
    )
}
_DAYS = {name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"], 1)}
_RATE = re.compile(r"rate\(\s*([1-9][0-9]{0,8})\s+(minute|hour|day)s?\s*\)")
_CRON = re.compile(r"cron\((.*)\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_LAST_YEAR = 2199
_CALENDAR_END = 2099  # croniter's
_HORIZON_YEARS = 40  # the rarest: a fifth Friday in February, at most 40 years apart (around 2100)


class ExpressionError(ValueError):
    """An expression that EventBridge would not take; says which part and what was expected."""


class Times(Protocol):
    """When a schedule is due."""

    def next_after(self, moment: float) -> float | None:
        """Return the first time later than `moment` (both seconds since the epoch); None: never again."""


@frozen
class Rate:
    """Every `seconds`, counted from the epoch."""

    seconds: int

    def next_after(self, moment: float) -> float | None:
        """Return the next multiple."""
        return float((int(moment // self.seconds) + 1) * self.seconds)


@frozen
class Cron:
    """A calendar; `expression` is in croniter's order: minute, hour, day, month, weekday, second, year."""

    expression: str
    last_weekday: bool = False

    def next_after(self, moment: float) -> float | None:
        """Return the next time of the calendar, to the minute."""
        now = datetime.fromtimestamp(moment, UTC)
        # The last weekday lies up to two days before the last day, which is what croniter is asked for.
        times = croniter(
            self.expression,
            now - timedelta(days=3) if self.last_weekday else now,
            max_years_between_matches=_HORIZON_YEARS,
        )
        try:
            while True:
                found: datetime = times.get_next(datetime)
                if self.last_weekday:
                    found -= timedelta(days=max(0, found.weekday() - 4))
                if found > now:
                    return found.timestamp()
        except CroniterBadDateError:
            return None


def parse_expression(text: str) -> Times:
    """Read `rate(...)` or `cron(...)`.

    Raises:
        ExpressionError: it is neither, or a field is wrong.
    """
    text = text.strip()
    rate = _RATE.fullmatch(text)
    if rate:
        return Rate(int(rate[1]) * _SECONDS[rate[2]])
    cron = _CRON.fullmatch(text)
    if cron:
        return _cron(cron[1].upper().split())
    raise ExpressionError(f"{text!r}: expected rate(N minutes|hours|days) or cron(six fields)")


def _cron(fields: list[str]) -> Cron:
    if len(fields) != 6:
        raise ExpressionError(f"cron: expected six fields, found {len(fields)}")
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise ExpressionError("cron: expected ? in either day-of-month or day-of-week, and not in both")
    days, last_weekday = _day_of_month(day)
    expression = (
        _numbers("minutes", minute, 0, 59),
        _numbers("hours", hour, 0, 23),
        days,
        _numbers("month", month, 1, 12, _MONTHS),
        _day_of_week(weekday),
        "0",
        _years(year),
    )
    return Cron(" ".join(expression), last_weekday)


def _day_of_month(field: str) -> tuple[str, bool]:
    if field in ("?", "L"):
        return ("*" if field == "?" else "L"), False
    if field == "LW":
        return "L", True
    if field.endswith("W"):
        return f"{_value('day-of-month', field[:-1], 1, 31)}W", False
    return _numbers("day-of-month", field, 1, 31), False


def _day_of_week(field: str) -> str:
    """Croniter counts from Sunday = 0."""
    if field == "?":
        return "*"
    if field == "L":  # the week's last day
        return "6"
    name = "day-of-week"
    if field.endswith("L"):
        return f"L{_value(name, field[:-1], 1, 7, _DAYS) - 1}"
    if "#" in field:
        day, _, which = field.partition("#")
        return f"{_value(name, day, 1, 7, _DAYS) - 1}#{_value(name, which, 1, 5)}"
    if "/" in field:
        raise ExpressionError(f"cron: {name}: expected no /, found {field!r}")
    return _numbers(name, field, 1, 7, _DAYS, shift=-1)


def _years(field: str) -> str:
    if field == "*":
        return "*"
    years = [year for year in _expand("year", field, 1970, _LAST_YEAR, {}) if year <= _CALENDAR_END]
    if not years:
        raise ExpressionError(f"cron: year: expected a year up to {_CALENDAR_END}, found {field!r}")
    return ",".join(map(str, years))


def _numbers(
    name: str, field: str, low: int, high: int, names: dict[str, int] | None = None, *, shift: int = 0
) -> str:
    """The field's numbers, written out: nothing is left for two grammars to read differently."""
    if field == "*":
        return "*"
    return ",".join(str(number + shift) for number in _expand(name, field, low, high, names or {}))


def _expand(name: str, field: str, low: int, high: int, names: dict[str, int]) -> list[int]:
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
        if last < first:  # FRI-MON, 22-2: over the end and on from the start
            numbers.update(range(first, high + 1, step), range(low, last + 1, step))
        else:
            numbers.update(range(first, last + 1, step))
    return sorted(numbers)


def _value(name: str, text: str, low: int, high: int, names: dict[str, int] | None = None) -> int:
    if names and text in names:
        return names[text]
    if text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    raise ExpressionError(f"cron: {name}: expected {low} to {high}, found {text!r}")
