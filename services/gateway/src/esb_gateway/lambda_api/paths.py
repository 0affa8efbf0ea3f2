"""Which paths are the Lambda API's: AWS puts the date of an operation's version before everything else."""

from __future__ import annotations

DATES = (
    "2014-11-13",
    "2015-03-31",
    "2016-08-19",
    "2017-03-31",
    "2017-10-31",
    "2018-10-31",
    "2019-09-25",
    "2019-09-30",
    "2020-04-22",
    "2020-06-30",
    "2021-07-20",
    "2021-10-31",
    "2021-11-15",
    "2024-08-31",
    "2025-11-30",
    "2025-12-01",
)
_PREFIXES = frozenset(f"/{date}/" for date in DATES)
_LENGTH = len("/2015-03-31/")


def is_lambda_api(path: str) -> bool:
    """Tell whether a path is the Lambda API's; runs for every request."""
    return path[:_LENGTH] in _PREFIXES
