"""Results as a program reads them: shapes that are documented for users, and that keys are only added to."""

from __future__ import annotations

from typing import cast

from artifactctl.api import (
    ApplyResult,
    HistoryResult,
    PlanResult,
    RollbackResult,
    StatusResult,
)
from artifactctl.generations import Generation
from artifactctl.merging import EntryChanges
from artifactctl.report import by_kind
from artifactctl.report_problems import Json, problems_json
from artifactctl.slots import label


def applied_json(result: ApplyResult) -> Json:
    """`apply` and `merge`."""
    return {
        **_changes(result),
        "removed_generations": list(result.removed_generations),
        "warnings": problems_json(result.warnings),
    }


def plan_json(result: PlanResult) -> Json:
    """`plan`."""
    return {**_changes(result), "warnings": problems_json(result.warnings)}


def _changes(result: PlanResult) -> dict[str, Json]:
    return {
        "config_dir": str(result.config_dir),
        "project": result.project,
        "env": result.env,
        "changed": result.changed,
        "generation": result.generation,
        "previous_generation": result.previous,
        "adopted_generation": result.adopted,
        "relinked": list(result.relinked),
        "entries": [_entry(entry) for entry in result.entries],
    }


def _entry(entry: EntryChanges) -> Json:
    return {
        "id": entry.id,
        "ref": entry.ref,
        "added": by_kind(entry.added),
        "replaced": by_kind(entry.replaced),
        "differing": _differing(entry),
        "removed": by_kind(entry.removed),
        "kept": by_kind(entry.kept),
    }


def _differing(entry: EntryChanges) -> Json:
    found: dict[str, dict[str, list[str]]] = {}
    for slot, keys in entry.differing.items():
        found.setdefault(slot[0], {})[label(slot)] = list(keys)
    return cast("Json", found)


def history_json(result: HistoryResult) -> Json:
    """`history`."""
    return {
        "config_dir": str(result.config_dir),
        "current": result.current,
        "generations": [_generation(generation) for generation in result.generations],
        "warnings": problems_json(result.warnings),
    }


def rolled_back_json(result: RollbackResult) -> Json:
    """`rollback`."""
    return {
        "config_dir": str(result.config_dir),
        "changed": result.changed,
        "generation": result.generation.number,
        "previous_generation": result.previous,
        "set_aside": [str(path) for path in result.set_aside],
        "warnings": problems_json(result.warnings),
    }


def status_json(result: StatusResult) -> Json:
    """`status`."""
    return {
        "config_dir": str(result.config_dir),
        "current": None if result.current is None else _generation(result.current),
        "generations": list(result.generations),
        "drift": [{"file": str(drift.file), "fact": drift.fact} for drift in result.drift],
    }


def _generation(generation: Generation) -> Json:
    return {
        "number": generation.number,
        "applied_at": generation.applied_at,
        "project": generation.project,
        "env": generation.env,
        "adopted": generation.adopted,
        "entries": [{"id": entry.id, "ref": entry.ref} for entry in generation.entries],
        "tool": generation.tool,
    }
