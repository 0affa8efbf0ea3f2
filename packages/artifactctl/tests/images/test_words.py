from __future__ import annotations

from contextlib import suppress

import pytest
from artifact_contract.errors import FieldError
from artifactctl.images.words import (
    UnsupportedError,
    expand,
    json_words,
    split_pairs,
    split_plain,
    split_quoted,
)
from hypothesis import given
from hypothesis import strategies as st

VARIABLES = {"A": "one", "EMPTY": "", "PATH": "/bin", "lower_2": "two"}


def expanded(text: str, escape: str = "\\") -> str:
    return expand(text, VARIABLES.get, escape)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$A", "one"),
        ("${A}", "one"),
        ("$A$A", "oneone"),
        ("${A}b", "oneb"),
        ("$Ab", ""),
        ("$lower_2", "two"),
        ("$NOTHING", ""),
        ("${NOTHING:-x}", "x"),
        ("${NOTHING-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${A:-x}", "one"),
        ("${A:+x}", "x"),
        ("${EMPTY:+x}", ""),
        ("${EMPTY+x}", "x"),
        ("${NOTHING:+x}", ""),
        ("${NOTHING:-${A}}", "one"),
        ("${NOTHING:-${EMPTY:-deep}}", "deep"),
        ("${NOTHING:-a b}", "a b"),
        ("${A:?must be there}", "one"),
        (r"\$A", "$A"),
        (r"\\", "\\"),
        (r"a\ b", "a b"),
        ("'$A'", "$A"),
        ('"$A b"', "one b"),
        (r'"\$A \" \x"', r"$A \" \x".replace('\\"', '"')),
        ("a$", "a$"),
        ("a$-", "a"),
        ("$PATH:/usr/bin", "/bin:/usr/bin"),
        ("a=$A,b='$A'", "a=one,b=$A"),
    ],
)
def test_variables_quotes_and_escapes_become_what_docker_makes_of_them(text: str, expected: str) -> None:
    assert expanded(text) == expected


def test_the_escape_character_is_the_one_the_file_chose() -> None:
    assert expanded("`$A", escape="`") == "$A"
    assert expanded(r"C:\$A", escape="`") == r"C:\one"


@pytest.mark.parametrize("text", ["'open", '"open', "${A", "${}", "${A:x}", "${A:-x", "${NOTHING:?no}", "${"])
def test_what_has_no_end_or_no_meaning_is_refused(text: str) -> None:
    with pytest.raises(FieldError):
        expanded(text)


@pytest.mark.parametrize("text", ["${A#o}", "${A##o}", "${A%e}", "${A/o/x}"])
def test_pattern_operators_are_left_to_another_builder(text: str) -> None:
    with pytest.raises(UnsupportedError):
        expanded(text)


@given(st.text())
def test_single_quotes_keep_everything(text: str) -> None:
    text = text.replace("'", "")
    assert expanded(f"'{text}'") == text


@given(st.text())
def test_any_text_expands_or_is_refused_with_a_reason(text: str) -> None:
    with suppress(FieldError):
        assert isinstance(expanded(text), str)


def test_pairs_come_in_both_forms() -> None:
    assert split_pairs("A=1 B='two words' C=x\\ y") == [("A", "1"), ("B", "'two words'"), ("C", "x\\ y")]
    assert split_pairs("A some text = here") == [("A", "some text = here")]
    assert split_pairs("A=") == [("A", "")]


@pytest.mark.parametrize("text", ["", "A", "A=1 B", "A=1 two words"])
def test_pairs_without_a_value_are_refused(text: str) -> None:
    with pytest.raises(FieldError, match="name=value"):
        split_pairs(text)


def test_words_are_split_at_white_space() -> None:
    assert split_plain(" a  b\tc ") == ["a", "b", "c"]
    assert split_quoted("a 'b c' \"d e\" f\\ g") == ["a", "'b c'", '"d e"', "f\\ g"]


def test_exec_form_is_json_and_anything_else_is_not() -> None:
    assert json_words('["a", "b c"]') == ["a", "b c"]
    assert json_words("a b") is None
    assert json_words("['a']") is None
    with pytest.raises(FieldError, match="strings"):
        json_words("[1]")


@pytest.mark.parametrize("text", ["[" * 100_000, '["\\ud800"]', '["a\\u0000b"]'])
def test_exec_form_that_no_process_can_be_given_is_refused(text: str) -> None:
    with pytest.raises(FieldError):
        json_words(text)


def test_variables_that_double_each_time_end_before_the_memory_does() -> None:
    with pytest.raises(FieldError, match="128 KiB"):
        expand("$A" * 1000, {"A": "a" * 100_000}.get)


def test_variables_inside_each_other_have_an_end() -> None:
    assert expanded("${A:-" * 60 + "x" + "}" * 60)
    with pytest.raises(FieldError, match="64"):
        expanded("${B:-" * 5000 + "x" + "}" * 5000)
