"""Schedule expressions as EventBridge has them, read into times.

    rate(5 minutes)      cron(0 10 ? * 6L *)      at(2030-01-31T08:00:00)

Times of a rate are multiples of it since the epoch, so that they stay the same across reloads and restarts. A
cron and an `at` are meant in the schedule's time zone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attrs import frozen

from esb_gateway.scheduling.cron import Cron, ExpressionError, parse_cron

_RATE = re.compile(r"rate\(\s*([1-9][0-9]{0,8})\s+(minute|hour|day)s?\s*\)")
_CRON = re.compile(r"cron\((.*)\)", re.DOTALL)
_AT = re.compile(r"at\(\s*([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\s*\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


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
class At:
    """Once."""

    time: float

    def next_after(self, moment: float) -> float | None:
        """Return the one time while it lies ahead."""
        return self.time if self.time > moment else None


def parse_expression(text: str, timezone: str = "") -> Times:
    """Read `rate(...)`, `cron(...)` or `at(...)`; `timezone` is an IANA name, UTC when empty.

    Raises:
        ExpressionError: it is none of them, a field is wrong, or nobody knows the time zone.
    """
    text, zone = text.strip(), _zone(timezone)
    rate = _RATE.fullmatch(text)
    if rate:
        return Rate(int(rate[1]) * _SECONDS[rate[2]])
    cron = _CRON.fullmatch(text)
    if cron:
        return Cron(parse_cron(cron[1]), zone)
    at = _AT.fullmatch(text)
    if at:
        return _at(at[1], zone)
    raise ExpressionError(
        f"{text!r}: expected rate(N minutes|hours|days), cron(six fields) or at(date and time)"
    )


def _at(text: str, zone: ZoneInfo) -> At:
    """A time that the clocks skip means the same distance into the day: one hour later, as a rule."""
    try:
        return At(datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC).timestamp())
    except (ValueError, OverflowError) as error:
        raise ExpressionError(f"at: expected a date and time, found {text!r}") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ExpressionError(
            f"timezone: expected an IANA name such as Asia/Tokyo, found {name!r}"
        ) from error
