from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from artifact_contract.errors import FieldError
from artifactctl.images.patterns import compile_pattern, has_wildcards, match_segment, plain_name
from hypothesis import example, given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "a", True),
        ("*", ".hidden", True),
        ("*.py", "a.py", True),
        ("*.py", "a.pyc", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a.c", "abc", False),
        ("[a-c]x", "bx", True),
        ("[^a-c]x", "bx", False),
        ("[a&&b]", "&", True),
        (r"[\d]", "d", True),
        (r"[\d]", "1", False),
        (r"\*", "*", True),
        (r"\*", "a", False),
        ("a(b)+", "a(b)+", True),
    ],
)
def test_a_segment_matches_as_in_docker(pattern: str, name: str, matches: bool) -> None:
    assert match_segment(pattern, name) is matches


@pytest.mark.parametrize("pattern", ["[", "[]", "a[b", "[z-a]", "a\\"])
def test_a_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(FieldError, match="well-formed"):
        match_segment(pattern, "a")


def test_an_escaped_wildcard_is_a_plain_character() -> None:
    assert has_wildcards("a*")
    assert has_wildcards("a?")
    assert has_wildcards("[a]")
    assert not has_wildcards(r"a\*")
    assert plain_name(r"a\*\\") == "a*\\"


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("**", "a/b/c", True),
        ("**/c", "a/b/c", True),
        ("**/c", "c", True),
        ("a/**/c", "a/c", True),
        ("a/**/c", "a/x/y/c", True),
        ("a/**", "a/x", True),
        ("a/**", "a", False),
        ("*/c", "a/b/c", False),
        ("**/*.pyc", "a/b.pyc", True),
    ],
)
def test_two_stars_match_any_number_of_directories(pattern: str, path: str, matches: bool) -> None:
    assert (compile_pattern(pattern, double_star=True).fullmatch(path) is not None) is matches


@given(st.text(st.characters(exclude_characters="\\*?["), min_size=1))
def test_a_pattern_without_wildcards_matches_itself_only(name: str) -> None:
    assert match_segment(name, name)
    assert not match_segment(name, name + "x")


def test_many_stars_take_no_longer_than_few() -> None:
    assert not match_segment("*a" * 40 + "*b", "a" * 250)
    assert match_segment("*a" * 40 + "*b", "a" * 250 + "b")


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_stars_match_what_they_match_elsewhere(pattern: str, name: str) -> None:
    assert match_segment(pattern, name) == fnmatchcase(name, pattern)


@given(st.text("ab*/", max_size=8), st.text("ab/", max_size=8))
@example("/***/", "/")
@example("/***/", "/a/b/")
@example("a/**/", "a/b")
def test_stars_among_directories_match_what_trying_everything_would(pattern: str, path: str) -> None:
    # Docker reads from the left: the third of three stars is one for names
    meaning = {"*": "[^/]*", "**": "(?:.*/)?", "**/": "(?:.*/)?"}
    tokens = re.findall(r"\*\*/?|.", pattern)
    plain = [meaning.get(token, token) for token in tokens]
    if tokens and tokens[-1] in {"**", "**/"}:
        plain[-1] = ".*"
    assert bool(compile_pattern(pattern, double_star=True).fullmatch(path)) == bool(
        re.fullmatch("".join(plain), path)
    )
