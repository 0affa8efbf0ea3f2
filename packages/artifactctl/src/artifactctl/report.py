"""Results as a person reads them; `report_json` has them as a program does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import click

from artifactctl.api import (
    ApplyResult,
    HistoryResult,
    PlanResult,
    RollbackResult,
    StatusResult,
)
from artifactctl.generations import Generation
from artifactctl.merging import EntryChanges
from artifactctl.slots import KINDS, Slot, label

# More names than this make a line that nobody reads; -v shows them all.
_NAMES = 6
_SIGNS = {"added": ("+", "green"), "replaced": ("~", "yellow"), "removed": ("-", "red"), "kept": ("=", None)}


def applied_text(result: ApplyResult, *, verbose: bool) -> str:
    """What was written: generation, changes by entry, totals."""
    if not result.changed:
        return f"Nothing to do: {result.config_dir} has all of this, at generation {result.generation}."
    head = click.style(f"Generation {result.generation}", bold=True)
    before = f"; before: {result.previous}" if result.previous is not None else ""
    lines = [
        f"{head} is now in force in {result.config_dir}  (project {result.project}, env {result.env}{before})"
    ]
    if result.adopted is not None:
        lines.append(f"Files put there by hand were kept as generation {result.adopted} first.")
    if result.relinked and result.previous is not None:
        lines.append(f"Links put back in place: {', '.join(result.relinked)}.")
    lines += _changes(result.entries, verbose=verbose)
    if result.removed_generations:
        lines.append(f"Removed old generations: {', '.join(map(str, result.removed_generations))}.")
    return "\n".join(lines)


def plan_text(result: PlanResult, *, verbose: bool) -> str:
    """What would be written."""
    if not result.changed:
        return f"Nothing to change: {result.config_dir} is at generation {result.generation}."
    head = click.style(f"Generation {result.generation}", bold=True)
    lines = [f"{head} would be put in force in {result.config_dir}  ({_whose(result.project, result.env)})"]
    if result.adopted is not None:
        lines.append(f"Files put there by hand would be kept as generation {result.adopted} first.")
    return "\n".join([*lines, *_changes(result.entries, verbose=verbose)])


def _whose(project: str, env: str) -> str:
    return f"project {project}, env {env}"


def _changes(entries: Sequence[EntryChanges], *, verbose: bool) -> Iterator[str]:
    yield ""
    for entry in entries:
        yield f"  {click.style(entry.id, bold=True)}  {entry.ref}"
        yield from _entry_lines(entry, verbose=verbose)
    yield ""
    totals = [
        f"{sum(len(getattr(entry, verb)) for entry in entries)} {verb}"
        for verb in ("added", "replaced", "removed")
    ]
    yield ", ".join(totals)


def _entry_lines(entry: EntryChanges, *, verbose: bool) -> Iterator[str]:
    if not (entry.added or entry.replaced or entry.removed or entry.kept):
        yield click.style("    no change", dim=True)
    for verb, (sign, colour) in _SIGNS.items():
        for kind, names in by_kind(getattr(entry, verb), _with_keys(entry)).items():
            note = "  (there already, and stays as it is)" if verb == "kept" else ""
            yield click.style(f"    {sign} {kind:<9} ", fg=colour) + _listed(names, verbose=verbose) + note


def _with_keys(entry: EntryChanges) -> Callable[[Slot], str]:
    """The label of a slot, with the keys that are another in what is replaced: `GET /orders (auth, cors)`."""

    def name(slot: Slot) -> str:
        keys = entry.differing.get(slot)
        return f"{label(slot)} ({', '.join(keys)})" if keys else label(slot)

    return name


def by_kind(slots: Sequence[Slot], name: Callable[[Slot], str] = label) -> dict[str, list[str]]:
    """The names of slots by kind, kinds in the order of the files."""
    grouped: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for slot in slots:
        grouped[slot[0]].append(name(slot))
    return {kind: labels for kind, labels in grouped.items() if labels}


def _listed(names: Sequence[str], *, verbose: bool) -> str:
    if verbose or len(names) <= _NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:_NAMES])} and {len(names) - _NAMES} more"


def history_text(result: HistoryResult, *, verbose: bool) -> str:
    """A line a generation, the newest first, the current one marked."""
    if not result.generations:
        return f"Nothing has been applied to {result.config_dir} yet."
    rows = [("", "NUMBER", "APPLIED", "PROJECT", "ENV", "ENTRIES")]
    for generation in reversed(result.generations):
        mark = "*" if generation.number == result.current else ""
        rows.append((mark, *_columns(generation, verbose=verbose)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join(_row(row, widths) for row in rows)


def _columns(generation: Generation, *, verbose: bool) -> tuple[str, str, str, str, str]:
    entries = _listed([entry.id for entry in generation.entries], verbose=verbose)
    what = "(files put there by hand)" if generation.adopted else entries
    return str(generation.number), generation.applied_at, generation.project, generation.env, what


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    line = "  ".join([*cells, row[-1]]).rstrip()
    return click.style(line, bold=True) if row[0] else line


def rolled_back_text(result: RollbackResult) -> str:
    """What is in force now."""
    number = result.generation.number
    lines = [
        f"Generation {number} is in force again in {result.config_dir}  (before: {result.previous})"
        if number != result.previous
        else f"Generation {number} is in force in {result.config_dir} already."
    ]
    lines += [f"A file put there by hand stood in the way; it is {path} now." for path in result.set_aside]
    return "\n".join(lines)


def status_text(result: StatusResult) -> str:
    """The current generation and what was edited by hand."""
    if result.current is None:
        lines = [f"Nothing has been applied to {result.config_dir} yet."]
    else:
        lines = [_current(result, result.current)]
        lines += [f"  {entry.id}  {entry.ref}" for entry in result.current.entries]
        others = [str(number) for number in result.generations if number != result.current.number]
        lines.append(f"Other generations kept: {', '.join(others) or 'none'}.")
    if not result.drift:
        lines.append("No file was edited by hand.")
    lines += [click.style(f"{drift.file}: {drift.fact}", fg="yellow") for drift in result.drift]
    return "\n".join(lines)


def _current(result: StatusResult, generation: Generation) -> str:
    head = click.style(f"Generation {generation.number}", bold=True)
    whose = "files put there by hand" if generation.adopted else _whose(generation.project, generation.env)
    return f"{head} is in force in {result.config_dir}  ({whose}; since {generation.applied_at})"
