"""What a fault run found, as a value, as text and as a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import asdict, field, frozen

from faults.counts import Counts, Disturbance, Verdict


@frozen
class Events:
    """Events by what became of them; ids count once, `duplicates` are deliveries beyond the first."""

    accepted: int
    delivered: int
    missing: tuple[int, ...]
    duplicates: int
    unanswered_but_delivered: int
    replayed: int


@frozen
class Usage:
    """One service: memory in MiB and file descriptors, at the start, at most, at the end."""

    memory: tuple[float, float, float]
    descriptors: tuple[int, int, int]
    restarts: int


@frozen
class Report:
    """Everything a run found."""

    seconds: float
    faults: Sequence[tuple[float, str, Disturbance]]
    counts: Sequence[Counts]
    events: Events
    usage: Mapping[str, Usage]
    workers_killed: int
    workers_left: Sequence[str] = field(factory=tuple)

    @property
    def failures(self) -> list[str]:
        """What must not be, in words; empty when all is well."""
        lost = sum(counts.verdicts[Verdict.LOST] for counts in self.counts)
        wrong = sum(counts.verdicts[Verdict.WRONG] for counts in self.counts)
        found = [
            (lost, f"{lost} calls lost"),
            (wrong, f"{wrong} wrong answers"),
            (len(self.events.missing), f"{len(self.events.missing)} accepted events not delivered"),
            (len(self.workers_left), f"{len(self.workers_left)} processes left behind"),
        ]
        return [text for number, text in found if number]

    def document(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return {
            "seconds": round(self.seconds, 1),
            "ok": not self.failures,
            "failures": self.failures,
            "calls": {
                counts.target: {"sent": counts.sent}
                | {verdict.name.lower(): counts.verdicts[verdict] for verdict in Verdict}
                for counts in self.counts
            },
            "events": asdict(self.events),
            "faults": len(self.faults),
            "workers_killed": self.workers_killed,
            "workers_left": list(self.workers_left),
            "usage": {name: asdict(usage) for name, usage in self.usage.items()},
        }

    def text(self) -> str:
        """The report for people."""
        parts = [self._calls(), self._events(), self._usage(), *self._examples()]
        verdict = "; ".join(self.failures) or "nothing lost, every accepted event delivered, nothing left"
        return "\n\n".join([*parts, f"{'FAILED' if self.failures else 'OK'}: {verdict}"])

    def _calls(self) -> str:
        total = Counts(
            "together",
            sum(counts.sent for counts in self.counts),
            sum((counts.verdicts for counts in self.counts), start=type(self.counts[0].verdicts)()),
            (),
        )
        columns = [*self.counts, total]
        rows = [["calls", *(counts.target for counts in columns)]]
        rows.append(["sent", *(f"{counts.sent:,}" for counts in columns)])
        rows += [[v.value, *(f"{counts.verdicts[v]:,}" for counts in columns)] for v in Verdict]
        return table(rows)

    def _events(self) -> str:
        events = self.events
        return table(
            [
                ["events", "number"],
                ["accepted (202 seen)", f"{events.accepted:,}"],
                ["of these delivered", f"{events.delivered:,}"],
                ["delivered more than once", f"{events.duplicates:,}"],
                ["delivered, 202 not seen", f"{events.unanswered_but_delivered:,}"],
                ["replayed from the dead letters", f"{events.replayed:,}"],
                ["workers killed", f"{self.workers_killed:,}"],
                ["processes left after stop", f"{len(self.workers_left):,}"],
            ]
        )

    def _usage(self) -> str:
        rows = [["service", "restarts", "MiB: start", "most", "end", "files: start", "most", "end"]]
        rows += [
            [name, str(usage.restarts), *(f"{mb:.0f}" for mb in usage.memory), *map(str, usage.descriptors)]
            for name, usage in self.usage.items()
        ]
        return table(rows)

    def _examples(self) -> list[str]:
        calls = [call for counts in self.counts for call in counts.examples]
        lines = [
            f"{call.target} {call.number}: {call.ended - call.sent:.2f} s, {call.trouble or call.status}"
            f" {call.error_type} {call.body.decode(errors='replace')}"
            for call in calls
        ]
        left = [f"left behind: {line}" for line in self.workers_left]
        missing = [f"events not delivered: {list(self.events.missing[:20])}"] if self.events.missing else []
        return ["\n".join([*lines, *missing, *left])] if lines or left or missing else []


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows with the first column to the left and all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]))
    return "\n".join(lines)
