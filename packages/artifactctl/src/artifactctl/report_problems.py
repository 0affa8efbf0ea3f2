"""Problems as a program reads them, in every command's JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from artifact_contract.errors import Problem

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"


def text_of(value: Json) -> str:
    """The JSON text that is printed."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def problems_json(problems: Iterable[Problem]) -> Json:
    """One object a problem; line and column are null where they are not known."""
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
