from __future__ import annotations

import pytest
from artifactctl.images.dockerfile import Dockerfile, parse_dockerfile
from hypothesis import given
from hypothesis import strategies as st


def parsed(text: str) -> Dockerfile:
    return parse_dockerfile(text.encode(), "Dockerfile")


def said(text: str) -> list[tuple[int, str, str]]:
    dockerfile = parsed(text)
    assert dockerfile.problems == ()
    return [(one.line, one.keyword, one.rest) for one in dockerfile.instructions]


def test_instructions_have_their_lines_and_comments_are_skipped() -> None:
    assert said("# first\n\nfrom a\n  # second\n  copy x   y  \n") == [(3, "FROM", "a"), (5, "COPY", "x   y")]


def test_continued_lines_are_one_instruction() -> None:
    text = "FROM a\nENV A=1 \\\n  B=2 \\ \n# comment\n\n  C=3\nCMD x\n"
    assert said(text) == [(1, "FROM", "a"), (2, "ENV", "A=1   B=2   C=3"), (7, "CMD", "x")]


def test_an_escaped_escape_character_does_not_continue_a_line() -> None:
    assert said("FROM a\nENV A=b\\\\\nCMD x\n")[1:] == [(2, "ENV", "A=b\\\\"), (3, "CMD", "x")]


def test_the_escape_directive_changes_what_continues_a_line() -> None:
    dockerfile = parsed("# escape=`\nFROM a\nCOPY c:\\ `\n d\n")
    assert dockerfile.escape == "`"
    assert dockerfile.instructions[1].rest == "c:\\  d"


def test_a_directive_counts_only_at_the_top() -> None:
    assert parsed("# comment\n# escape=`\nFROM a\n").escape == "\\"
    assert parsed("\n# escape=`\nFROM a\n").escape == "\\"
    assert parsed("# check=skip=all\n#escape=`\nFROM a\n").escape == "`"


def test_byte_order_mark_and_windows_line_ends_are_no_part_of_the_text() -> None:
    dockerfile = parse_dockerfile(b"\xef\xbb\xbfFROM a\r\nENV A=1 \\\r\n B=2\r\n", "Dockerfile")
    assert [(one.keyword, one.rest) for one in dockerfile.instructions] == [
        ("FROM", "a"),
        ("ENV", "A=1  B=2"),
    ]


def test_flags_are_taken_off_the_front() -> None:
    copy = parsed("FROM a\nCOPY --from=x --link --chmod=0755 --chown= a b --no\n").instructions[1]
    assert copy.flags == (("from", "x"), ("link", ""), ("chmod", "0755"), ("chown", ""))
    assert copy.rest == "a b --no"


def test_a_syntax_line_is_refused() -> None:
    (problem,) = parsed("# syntax=docker/dockerfile:1\nFROM a\n").problems
    assert str(problem).startswith("Dockerfile:1:1: # syntax: expected no such line")


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("FROM a\nCPOY a b\n", 2, "CPOY"),
        ("# escape=x\nFROM a\n", 1, "# escape"),
        ("# escape=`\n# escape=`\nFROM a\n", 2, "# escape"),
        ("", 1, "Dockerfile"),
        ("FROM a\nRUN <<EOF\necho\n", 2, "RUN"),
    ],
)
def test_what_is_no_dockerfile_is_said_with_its_line(text: str, line: int, what: str) -> None:
    (problem,) = parsed(text).problems
    assert (problem.place.line, problem.field) == (line, what)


def test_bytes_that_are_not_utf8_are_said_with_their_line() -> None:
    (problem,) = parse_dockerfile(b"FROM a\nENV A=\xff\n", "Dockerfile").problems
    assert problem.place.line == 2


def test_the_lines_of_a_here_document_are_no_instructions() -> None:
    text = "FROM a\nRUN <<EOF cat <<-'END'\nFROM b\nEOF\n\tCOPY\n\tEND\nCMD x\n"
    dockerfile = parsed(text)
    assert dockerfile.problems == ()
    assert [(one.line, one.keyword) for one in dockerfile.instructions] == [
        (1, "FROM"),
        (2, "RUN"),
        (7, "CMD"),
    ]
    assert dockerfile.instructions[1].heredocs == ("<<EOF", "<<-'END'")


@given(st.text())
def test_any_text_is_parsed_or_has_problems(text: str) -> None:
    dockerfile = parse_dockerfile(text.encode("utf-8", "replace"), "Dockerfile")
    assert dockerfile.problems or dockerfile.instructions


def test_a_nul_character_is_no_text() -> None:
    (problem,) = parse_dockerfile(b"FROM x\nENV A=\0\n", "Dockerfile").problems
    assert str(problem) == "Dockerfile:2:1: Dockerfile: expected text, found a NUL character"
