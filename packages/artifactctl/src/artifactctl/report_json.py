"""Results as a program reads them; `docs/artifact-operations.md` documents these shapes, keys are only added."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias, Union

from artifact_contract.errors import Problem

from artifactctl.api import (
    ApplyResult,
    HistoryResult,
    PlanResult,
    RollbackResult,
    StatusResult,
    ValidateIdResult,
)
from artifactctl.generations import Generation
from artifactctl.merging import EntryChanges
from artifactctl.report import by_kind

Json: TypeAlias = Union[bool, int, str, Sequence["Json"], Mapping[str, "Json"], None]


def text_of(value: Json) -> str:
    """The JSON text that is printed."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def ids_json(result: ValidateIdResult) -> Json:
    """`validate-id`."""
    return {
        "artifact": str(result.artifact),
        "entries": [{"id": entry.id, "ref": entry.ref} for entry in result.entries],
        "warnings": _problems(result.warnings),
    }


def applied_json(result: ApplyResult) -> Json:
    """`apply` and `merge`."""
    return {
        **_changes(result),
        "removed_generations": list(result.removed_generations),
        "warnings": _problems(result.warnings),
    }


def plan_json(result: PlanResult) -> Json:
    """`plan`."""
    return {**_changes(result), "warnings": _problems(result.warnings)}


def _changes(result: ApplyResult | PlanResult) -> dict[str, Json]:
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
        "removed": by_kind(entry.removed),
        "kept": by_kind(entry.kept),
    }


def history_json(result: HistoryResult) -> Json:
    """`history`."""
    return {
        "config_dir": str(result.config_dir),
        "current": result.current,
        "generations": [_generation(generation) for generation in result.generations],
        "warnings": _problems(result.warnings),
    }


def rolled_back_json(result: RollbackResult) -> Json:
    """`rollback`."""
    return {
        "config_dir": str(result.config_dir),
        "changed": result.changed,
        "generation": result.generation.number,
        "previous_generation": result.previous,
        "set_aside": [str(path) for path in result.set_aside],
        "warnings": _problems(result.warnings),
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


def _problems(problems: Iterable[Problem]) -> Json:
    return [
        {
            "file": problem.place.file,
            "line": problem.place.line,
            "column": problem.place.column,
            "field": problem.field,
            "expected": problem.expected,
            "found": problem.found,
            "hint": problem.hint,
            "severity": problem.severity.value,
        }
        for problem in problems
    ]
