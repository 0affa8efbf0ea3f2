import math

import pytest
from artifact_contract.nodes import (
    Mapping,
    Scalar,
    Sequence,
    as_text,
    describe,
    field_text,
    from_python,
    is_null,
    mapping,
    plain_python,
    quote,
    resolves_to_string,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("", None), ("~", None), ("null", None), ("NULL", None), ("true", True), ("False", False)],
        *[
            ("010", 10),
            ("-1", -1),
            ("+1", 1),
            ("0x10", 16),
            ("0o14", 12),
            ("1e3", 1000.0),
            (".5", 0.5),
            ("1.", 1.0),
        ],
        *[
            ("yes", "yes"),
            ("off", "off"),
            ("1_000", "1_000"),
            ("0b1", "0b1"),
            ("1:30", "1:30"),
            ("nUll", "nUll"),
        ],
        *[("-", "-"), (".", "."), ("0x", "0x"), ("1e", "1e"), (".inf", math.inf), ("-.inf", -math.inf)],
        ("9" * 5000, "9" * 5000),
    ],
)
def test_plain_text_is_resolved_by_yaml_1_2s_core_schema(text: str, value: object) -> None:
    assert plain_python(Scalar(text)) == value
    assert type(plain_python(Scalar(text))) is type(value)
    assert plain_python(Scalar(text, plain=False)) == text


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            "~",
            "null",
            "yes",
            "No",
            "ON",
            "y",
            "true",
            "1",
            "010",
            "1.0",
            "1e3",
            "0x10",
            "0o14",
            "0b1",
            "1_000",
        ],
        *["1:30", "2026-01-31", "2026-01-31 12:00:00", ".inf", ".NaN", "=", "<<", "-1", "+.5", "."],
    ],
)
def test_a_string_that_some_reader_takes_for_something_else_is_written_quoted(text: str) -> None:
    assert not resolves_to_string(text)
    assert from_python(text) == Scalar(text, plain=False)


@pytest.mark.parametrize(
    "text", ["hello", "a:b", "rate(1 minute)", "registry:5010/x", "python3.12", "/items/{id}", "x1"]
)
def test_an_ordinary_string_is_written_plain(text: str) -> None:
    assert from_python(text) == Scalar(text)


def test_nodes_come_from_plain_values() -> None:
    assert mapping(a=1, b=[True, None, 1.5], c={"d": Scalar("010")}) == Mapping(
        {
            "a": Scalar("1"),
            "b": Sequence([Scalar("true"), Scalar("null"), Scalar("1.5")]),
            "c": Mapping({"d": Scalar("010")}),
        }
    )
    assert from_python(float("-inf")) == Scalar("-.inf")


@pytest.mark.parametrize("value", [b"bytes", {1: "a"}, object(), {"a": {2}}])
def test_what_has_no_yaml_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        from_python(value)


def test_a_null_is_the_empty_text_only_when_it_is_plain() -> None:
    assert is_null(Scalar("~"))
    assert as_text(Scalar("null")) == ""
    assert as_text(Scalar("null", plain=False)) == "null"
    assert not is_null(Scalar("", plain=False))


def test_places_make_no_difference_between_nodes() -> None:
    assert Scalar("a", True, 1, 2) == Scalar("a", True, 3, 4)
    assert Mapping({}, 1, 1, {"a": (1, 1)}) == Mapping()


def test_messages_show_paths_and_nodes_shortly() -> None:
    assert field_text(("artifacts", 2, "source_template", "path")) == "artifacts[2].source_template.path"
    assert [describe(node) for node in (None, Mapping(), Sequence(), Scalar(""), Scalar("a"))] == [
        *["nothing", "a mapping", "a list", "nothing", "'a'"]
    ]
    assert len(quote("x" * 1000)) < 100
    assert "\n" not in quote("a\nb")
