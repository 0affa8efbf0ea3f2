from __future__ import annotations

import pytest
from artifactctl.images.ignore import IgnoreRules, parse_ignore


def rules(text: str) -> IgnoreRules:
    found, problems = parse_ignore(text, ".dockerignore")
    assert problems == ()
    return found


@pytest.mark.parametrize(
    ("text", "excluded", "kept"),
    [
        ("*.pyc\n", ["a.pyc"], ["b/a.pyc", "a.py"]),
        ("**/*.pyc\n", ["a.pyc", "b/c/a.pyc"], ["a.py"]),
        ("/src\n", ["src", "src/a", "src/b/c"], ["a/src"]),
        ("src/\n", ["src", "src/a"], ["srcs"]),
        ("./a/../b\n", ["b"], ["a"]),
        ("# *\n\n   \n", [], ["a"]),
        ("*\n!keep\n", ["a", "b/c"], ["keep", "keep/x"]),
        ("*\n!keep\nkeep/not\n", ["keep/not", "keep/not/x"], ["keep/x"]),
        ("!keep\nkeep\n", ["keep"], []),
        ("\ufeffa\r\n", ["a"], ["b"]),
    ],
)
def test_the_last_matching_line_decides(text: str, excluded: list[str], kept: list[str]) -> None:
    found = rules(text)
    assert [path for path in excluded if not found.exclude(path)] == []
    assert [path for path in kept if found.exclude(path)] == []


def test_a_malformed_line_is_said_with_its_place() -> None:
    _, (problem,) = parse_ignore("ok\na[\n", "x/.dockerignore")
    assert str(problem).startswith("x/.dockerignore:2")
