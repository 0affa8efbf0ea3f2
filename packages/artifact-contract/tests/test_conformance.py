"""The reading and checking half of the conformance cases; merging is the applier's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from artifact_contract.codec import read_yaml
from artifact_contract.config_files import CONFIG_FILES
from artifact_contract.errors import ArtifactError, Problem, Severity
from artifact_contract.loader import parse_config_files
from artifact_contract.manifest import load_manifest, schema_text
from artifact_contract.nodes import plain_python
from artifact_contract.verify import verify_entry

CASES = Path(__file__).parents[3] / "conformance"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())


def expected_of(case: Path) -> Any:
    return plain_python(read_yaml((case / "expected.yml").read_bytes(), "expected.yml"))


def problems_of(manifest: Path) -> Iterator[Problem]:
    """What reading and checking finds, in the order of the checks; nothing is checked below what is wrong."""
    try:
        loaded = load_manifest(manifest)
    except ArtifactError as error:
        yield from (*error.problems, *error.warnings)
        return
    yield from loaded.warnings
    for entry in loaded.manifest.artifacts:
        problems = verify_entry(loaded, entry)
        yield from problems
        if not any(problem.severity is Severity.ERROR for problem in problems):
            yield from config_problems(loaded.root_of(entry) / entry.runtime_config_dir)


def config_problems(directory: Path) -> tuple[Problem, ...]:
    files = {name: (directory / name).read_bytes() for name in CONFIG_FILES if (directory / name).is_file()}
    try:
        return parse_config_files(files, directory).warnings
    except ArtifactError as error:
        return (*error.problems, *error.warnings)


def as_expected(problem: Problem, case: Path) -> dict[str, object]:
    """A problem the way expected.yml writes it."""
    place, file = problem.place, Path(problem.place.file).relative_to(case)
    shown = {"at": f"{file}:{place.line}:{place.column}" if place.line else str(file), "field": problem.field}
    return {**shown, "kind": problem.kind.value, "severity": problem.severity.value}


def found_in(case: Path) -> list[dict[str, object]]:
    problems = problems_of(case / expected_of(case).get("manifest", "artifact.yml"))
    unique = {tuple(as_expected(problem, case).items()) for problem in problems}
    return sorted((dict(items) for items in unique), key=str)


@pytest.mark.parametrize("name", NAMES)
def test_every_problem_is_found_and_no_other(name: str) -> None:
    case = CASES / name
    assert found_in(case) == sorted(expected_of(case).get("problems", []), key=str)


@pytest.mark.parametrize("name", NAMES)
def test_the_exit_codes_follow_from_what_was_found(name: str) -> None:
    expected = expected_of(CASES / name)
    found = {
        each["severity"] for each in [*expected.get("problems", []), *expected.get("merge_warnings", [])]
    }
    rejected = "error" in found or bool(expected.get("secrets_missing"))
    assert expected["exit"] == (3 if rejected else 0)
    assert expected["strict"] == (3 if rejected or "strict" in found else 0)
    assert name.endswith("_fail") == rejected


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_refuses_no_manifest_that_the_reader_accepts(name: str) -> None:
    case = CASES / name
    expected = expected_of(case)
    verdict = schema_verdict(case / expected.get("manifest", "artifact.yml"))
    assert verdict == expected["schema"]
    assert verdict == "pass" or any(each["severity"] == "error" for each in expected["problems"])


def schema_verdict(manifest: Path) -> str:
    try:
        node = read_yaml(manifest.read_bytes(), "artifact.yml")
    except ArtifactError:
        return "unreadable"
    valid = jsonschema.Draft202012Validator(json.loads(schema_text())).is_valid(plain_python(node))
    return "pass" if valid else "fail"


@pytest.mark.parametrize("name", NAMES)
def test_a_case_says_in_one_line_why_it_is_there(name: str) -> None:
    text = (CASES / name / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") == 1
    assert text.endswith(".\n")


def test_there_are_enough_cases_of_each_sort() -> None:
    assert len(NAMES) >= 30
    assert sum(name.startswith("merge-") for name in NAMES) >= 8
    assert sum(name.endswith("_fail") for name in NAMES) >= 15
