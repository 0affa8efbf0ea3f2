"""What came of a profile."""

from __future__ import annotations

import enum
from pathlib import Path
from xml.etree import ElementTree

import attrs


class Ending(enum.Enum):
    """How a profile ended; the value is the word people read."""

    PASSED = "passed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    UNAVAILABLE = "unavailable"
    DEFERRED = "deferred"


@attrs.frozen
class Tally:
    """How many tests passed, which failed, which this profile has nothing for, with the reason."""

    passed: int = 0
    failed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.passed} passed", f"{len(self.failed)} failed" if self.failed else ""]
        parts.append(f"{len(self.skipped)} not of this profile" if self.skipped else "")
        return ", ".join(part for part in parts if part)


@attrs.frozen
class Outcome:
    """A profile's end: why, how long each phase took, what the tests gave."""

    profile: str
    ending: Ending
    reasons: tuple[str, ...] = ()
    phases: tuple[tuple[str, float], ...] = ()
    tally: Tally | None = None
    log: Path | None = None

    def bad(self, *, available_only: bool) -> bool:
        """Whether the run fails because of it."""
        excused = {Ending.PASSED, Ending.DEFERRED} | ({Ending.UNAVAILABLE} if available_only else set())
        return self.ending not in excused


def read_tally(file: Path) -> Tally | None:
    """Read pytest's JUnit report; None when there is none, as of a pytest that broke."""
    try:
        cases = list(ElementTree.parse(file).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return None
    failed, skipped = [], []
    for case in cases:
        name = f"{case.get('classname', '')}::{case.get('name', '')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif (skip := case.find("skipped")) is not None:
            skipped.append(f"{case.get('name', '')}: {skip.get('message', '')}")
    return Tally(len(cases) - len(failed) - len(skipped), tuple(failed), tuple(skipped))
