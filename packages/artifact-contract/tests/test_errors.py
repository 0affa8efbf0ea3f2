import pytest
from artifact_contract.errors import (
    ArtifactError,
    DigestError,
    FieldError,
    IdError,
    Kind,
    Place,
    Problem,
    SchemaError,
    Severity,
    error_for,
    raise_errors,
)

PLACE = Place("artifact.yml", 3, 5)


def test_a_problem_says_where_what_was_expected_and_what_was_found() -> None:
    assert (
        str(Problem(PLACE, "mode", "docker", "'x'")) == "artifact.yml:3:5: mode: expected docker, found 'x'"
    )
    assert (
        str(Problem(Place("a.yml"), "", "a file", "nothing", "look"))
        == "a.yml: expected a file, found nothing (look)"
    )
    assert str(Place("a.yml", 7)) == "a.yml:7:1"


def test_errors_are_raised_together_and_warnings_returned() -> None:
    warning = Problem(PLACE, "a", "x", "y", severity=Severity.STRICT)
    assert raise_errors([warning]) == (warning,)
    with pytest.raises(SchemaError) as caught:
        raise_errors([warning, Problem(PLACE, "b", "x", "y"), Problem(PLACE, "c", "x", "y")])
    assert [problem.field for problem in caught.value.problems] == ["b", "c"]
    assert caught.value.warnings == (warning,)
    assert str(caught.value).count("\n") == 1


def test_strict_turns_strict_warnings_into_errors_and_no_others() -> None:
    strict = Problem(PLACE, "a", "x", "y", severity=Severity.STRICT, kind=Kind.DIGEST)
    mere = Problem(PLACE, "b", "x", "y", severity=Severity.WARNING)
    with pytest.raises(DigestError) as caught:
        raise_errors([mere, strict], strict=True)
    assert caught.value.problems == (strict,)
    assert raise_errors([mere], strict=True) == (mere,)


def test_the_exception_is_the_leaf_of_the_problems_kind_when_they_have_one() -> None:
    wrong_id = Problem(PLACE, "id", "x", "y", kind=Kind.ID)
    assert type(error_for([wrong_id, wrong_id])) is IdError
    assert type(error_for([wrong_id, Problem(PLACE, "a", "x", "y")])) is ArtifactError


def test_the_same_problem_is_said_once() -> None:
    problem = Problem(PLACE, "a", "x", "y", severity=Severity.WARNING)
    assert raise_errors([problem, problem]) == (problem,)


def test_a_rule_states_facts_and_its_caller_the_place() -> None:
    error = FieldError("a path", "''", hint="look", kind=Kind.PATH)
    assert str(error) == "expected a path, found '' (look)"
    assert error.at(PLACE, "x") == Problem(PLACE, "x", "a path", "''", "look", kind=Kind.PATH)
