import pytest
from artifact_contract.config_types import Defaults, Function, FunctionsConfig
from artifact_contract.environment import expand_environment, expand_functions
from artifact_contract.errors import SchemaError
from hypothesis import given
from hypothesis import strategies as st

VARIABLES = {"HOST": "h", "EMPTY": "", "NESTED": "${HOST}"}


@pytest.mark.parametrize(
    ("value", "expanded"),
    [
        *[("${HOST}", "h"), ("http://${HOST}:${PORT:-80}/", "http://h:80/"), ("${HOST}${HOST}", "hh")],
        *[
            ("${NOPE:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${HOST:-x}", "h"),
            ("${NOPE:-a b:-c}", "a b:-c"),
        ],
        *[("$HOST", "$HOST"), ("$${HOST}", "$h"), ("${1X}", "${1X}"), ("${}", "${}"), ("${HOST", "${HOST")],
        *[
            ("${HOST-x}", "${HOST-x}"),
            ("${ HOST }", "${ HOST }"),
            ("${NESTED}", "${HOST}"),
            ("${NOPE:-${HOST}}", "${HOST}"),
        ],
    ],
)
def test_two_forms_are_replaced_and_everything_else_stands_for_itself(value: str, expanded: str) -> None:
    assert expand_environment({"A": value}, VARIABLES) == {"A": expanded}


def test_a_name_without_value_and_default_names_file_function_and_variable() -> None:
    with pytest.raises(SchemaError) as caught:
        expand_environment({"URL": "${ONE}/${TWO}", "OK": "x"}, VARIABLES, "f.yml", "hello")
    assert str(caught.value) == (
        "f.yml: functions.hello.environment.URL: expected a value for ${ONE}, found none and no default\n"
        "f.yml: functions.hello.environment.URL: expected a value for ${TWO}, found none and no default"
    )


def test_what_is_missing_in_a_whole_config_is_said_together() -> None:
    config = FunctionsConfig(
        Defaults({"D": "${ONE}"}),
        {"f": Function("f", "x", environment={"F": "${TWO}"}), "g": Function("g", "x")},
    )
    with pytest.raises(SchemaError) as caught:
        expand_functions(config, {})
    assert [problem.field for problem in caught.value.problems] == [
        "defaults.environment.D",
        "functions.f.environment.F",
    ]
    expanded = expand_functions(config, {"ONE": "1", "TWO": "2"})
    assert expanded.defaults.environment == {"D": "1"}
    assert expanded.functions["f"].environment == {"F": "2"}
    assert expanded.functions["g"] == config.functions["g"]


@given(st.dictionaries(st.text(), st.text(st.characters(exclude_characters="$"))))
def test_values_without_references_stay_as_they_are(env: dict[str, str]) -> None:
    assert expand_environment(env, {}) == env
