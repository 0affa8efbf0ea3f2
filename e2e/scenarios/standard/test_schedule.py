"""Schedules: a rate of a minute, which has to come within one and a bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from scenario.client import until


def test_a_schedule_calls_its_function_each_minute(rows: Callable[[str], Any]) -> None:
    began = time.time()
    found = until(lambda: rows("schedule"), "a row that the schedule wrote", 75)
    assert all(int(row["at"]) % 60 < 20 for row in found), found
    assert int(found[0]["at"]) > began - 600
