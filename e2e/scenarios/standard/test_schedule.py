"""Schedules: a rate of a minute, which has to come within one and a bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scenario.client import until


def test_a_schedule_calls_its_function_each_minute(rows: Callable[[str], Any]) -> None:
    before = {row["id"] for row in rows("schedule")}

    def new() -> list[Any]:
        return [row for row in rows("schedule") if row["id"] not in before]

    found = until(new, "another row that the schedule wrote", 90)
    assert found[0]["trace"].startswith("Root=1-"), found
