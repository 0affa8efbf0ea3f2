"""The summary a run ends with, for people and for programs, and the exit code it means (contract §12)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from esb_provisioner.provision import Outcome, Result

DONE, REJECTED, WORLD_FAILED = 0, 3, 4


def exit_code(results: Iterable[Result]) -> int:
    """4 when a store failed (worth another try), else 3 when the config is wrong, else 0."""
    outcomes = {result.outcome for result in results}
    if Outcome.FAILED in outcomes:
        return WORLD_FAILED
    return REJECTED if Outcome.REJECTED in outcomes else DONE


def as_text(results: tuple[Result, ...]) -> str:
    """A line for each resource, what is to say about it indented below, and a line of totals."""
    lines = []
    for result in results:
        lines.append(f"{result.outcome.value:<9} {result.kind} {result.name}")
        lines += [f"          {change}" for change in result.changes]
        lines += [f"          warning: {warning}" for warning in result.warnings]
        lines += [f"          error: {error}" for error in result.errors]
    return "\n".join([*lines, _totals(results)])


def as_json(results: tuple[Result, ...], generation: str | None) -> str:
    """One JSON object: the generation read, totals by outcome, every resource."""
    document = {
        "generation": generation,
        "summary": _counts(results),
        "resources": [
            {
                "kind": result.kind,
                "name": result.name,
                "outcome": result.outcome.value,
                "changes": result.changes,
                "warnings": result.warnings,
                "errors": result.errors,
            }
            for result in results
        ],
    }
    return json.dumps(document, ensure_ascii=False)


def _counts(results: tuple[Result, ...]) -> dict[str, int]:
    counts = Counter(result.outcome for result in results)
    return {outcome.value: counts[outcome] for outcome in Outcome}


def _totals(results: tuple[Result, ...]) -> str:
    if not results:
        return "nothing to provision"
    return ", ".join(f"{count} {name}" for name, count in _counts(results).items() if count)
