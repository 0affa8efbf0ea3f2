"""What people see meanwhile: a live table on a terminal, else a line a phase; with verbose all lines."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from runner.outcome import Ending, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_COLORS = {
    Ending.PASSED: "green",
    Ending.FAILED: "red",
    Ending.INTERRUPTED: "red",
    Ending.UNAVAILABLE: "yellow",
    Ending.DEFERRED: "yellow",
}
_TAIL_LINES = 40
_TAIL_BYTES = 64 * 1024


@attrs.define
class _Row:
    log: Path
    phase: str = "waiting"
    since: float = attrs.field(factory=time.monotonic)
    latest: str = ""
    read: int = 0
    ended: Outcome | None = None


class Display:
    """Shows profiles by name; `follow` reads what their logs got since."""

    def __init__(self, console: Console, *, verbose: bool) -> None:
        self._console = console
        self._verbose = verbose
        self._rows: dict[str, _Row] = {}
        self._live = (
            Live(console=console, get_renderable=self._table, auto_refresh=False)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.follow()
        if self._live:
            self._live.stop()

    def add(self, profile: str, log: Path) -> None:
        """Show a profile that is going to run."""
        self._rows[profile] = _Row(log, read=log.stat().st_size if log.exists() else 0)

    def entered(self, profile: str, phase: str) -> None:
        """A phase begins."""
        self.follow()
        row = self._rows[profile]
        row.phase, row.since, row.latest = phase, time.monotonic(), ""
        if not self._live:
            self._say(f"{profile}: {phase}")

    def ended(self, outcome: Outcome) -> None:
        """A profile is done."""
        self._rows[outcome.profile].ended = outcome
        if not self._live:
            self._say(f"{outcome.profile}: {outcome.ending.value}")

    def follow(self) -> None:
        """Read on in the logs, and show it."""
        for profile, row in self._rows.items():
            for line in _more(row):
                row.latest = line
                if self._verbose:
                    self._say(f"{profile} | {line}")
        if self._live:
            self._live.refresh()

    def summary(self, outcomes: list[Outcome], overviews: Mapping[str, str]) -> None:
        """Say what came of all, and of what failed the end of its log."""
        for outcome in outcomes:
            if outcome.ending is Ending.FAILED and outcome.log:
                self._say(f"\n--- the end of {outcome.log}")
                for line in tail(outcome.log, _TAIL_LINES):
                    self._say(f"  {line}")
        self._say("")
        for outcome in outcomes:
            self._console.print(_ending(outcome), soft_wrap=True)
            if outcome.phases:
                took = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in outcome.phases)
                self._say(f"  {sum(seconds for _, seconds in outcome.phases):.1f} s: {took}")
            for line in outcome.reasons:
                self._say(f"  {line}")
            if outcome.tally:
                for line in [*(f"failed {name}" for name in outcome.tally.failed), *outcome.tally.skipped]:
                    self._say(f"  {line}")
            if overviews.get(outcome.profile):
                self._say(f"  {overviews[outcome.profile]}")
            if outcome.log:
                self._say(f"  log: {outcome.log}")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for profile, row in self._rows.items():
            if row.ended:
                state = Text(row.ended.ending.value, _COLORS[row.ended.ending])
                table.add_row(Text(profile, "bold"), state, "", "")
                continue
            latest = Text(row.latest, "dim", no_wrap=True, overflow="ellipsis")
            table.add_row(Text(profile, "bold"), row.phase, f"{time.monotonic() - row.since:.0f} s", latest)
        return table


def _ending(outcome: Outcome) -> Text:
    text = Text.assemble((outcome.profile, "bold"), ": ", (outcome.ending.value, _COLORS[outcome.ending]))
    if outcome.tally:
        text.append(f", tests: {outcome.tally}")
    return text


def _more(row: _Row) -> list[str]:
    """The whole lines that the log got since the last time."""
    try:
        with row.log.open("rb") as file:
            file.seek(row.read)
            data = file.read()
    except OSError:
        return []
    whole = data[: data.rfind(b"\n") + 1]
    row.read += len(whole)
    return whole.decode(errors="replace").splitlines()


def tail(file: Path, lines: int) -> list[str]:
    """Return the last lines of a log."""
    try:
        with file.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()[-lines:]
    except OSError as error:
        return [str(error)]
