from __future__ import annotations

from collections.abc import Callable

import pytest
from artifactctl.images.interpret import DockerfileError
from artifactctl.images.recipe import Recipe

Build = Callable[..., Recipe]
Problems = Callable[..., list[str]]


def test_arguments_before_from_count_in_from_and_where_they_are_named_again(build: Build) -> None:
    recipe = build(
        "ARG V=3.12\nARG W=$V\nFROM lambda/python:${W}\nENV A=$V\nARG V\nENV B=$V\nARG V=own\nENV C=$V\n"
    )
    assert recipe.base.name == "lambda/python:3.12"
    assert recipe.config.env == {"A": "", "B": "3.12", "C": "own"}


def test_a_build_argument_replaces_the_default(build: Build) -> None:
    assert build("ARG V=1\nFROM x:$V\n", build_args={"V": "2"}).base.name == "x:2"


def test_the_platform_is_that_of_the_function_unless_from_says_otherwise(build: Build) -> None:
    assert str(build("FROM scratch\n").platform) == "linux/amd64"
    assert str(build("FROM --platform=linux/arm64/v8 scratch\n").platform) == "linux/arm64/v8"
    assert str(build("FROM --platform=$BUILDPLATFORM scratch\n").platform) == "linux/amd64"
    assert build("FROM scratch\nARG TARGETARCH\nENV A=$TARGETARCH\n").config.env == {"A": "amd64"}


def test_a_stage_carries_everything_over_to_the_one_built_on_it(build: Build) -> None:
    recipe = build(
        "FROM scratch AS Base\nARG X=1\nENV A=1\nCOPY a /a\nFROM base\nENV B=$A$X\nCOPY a /b\n", {"a": "1"}
    )
    assert recipe.config.env == {"A": "1", "B": "11"}
    assert [entry.path for layer in recipe.layers for entry in layer.entries] == ["a", "b"]


def test_files_come_from_stages_by_name_and_by_number(build: Build) -> None:
    text = "FROM scratch AS one\nCOPY a /x/\nFROM scratch\nCOPY --from=ONE /x/ /y/\nCOPY --from=0 /x/a /z\n"
    recipe = build(text, {"a": "1"})
    assert [[entry.path for entry in layer.entries] for layer in recipe.layers] == [["y", "y/a"], ["z"]]


def test_problems_of_a_stage_nobody_needs_are_nobodys_problem(build: Build) -> None:
    recipe = build("FROM scratch AS test\nRUN pytest\nCOPY nothing /\nFROM scratch\nENV A=1\n")
    assert recipe.config.env == {"A": "1"}


def test_problems_of_a_stage_that_files_come_from_count(problems_of: Problems) -> None:
    problems = problems_of("FROM scratch AS a\nRUN make\nFROM scratch\nCOPY --from=a / /x/\n")
    assert len(problems) == 1
    assert problems[0].startswith("Dockerfile:2:1: RUN")


def test_all_problems_of_a_file_come_together_in_the_order_of_their_lines(problems_of: Problems) -> None:
    problems = problems_of("FROM scratch\nRUN x\nCPOY a b\nCOPY nothing /\nEXPOSE x\nADD y /\n")
    assert [problem.split(":")[1] for problem in problems] == ["2", "3", "4", "5", "6"]


def test_a_file_that_only_needs_an_engine_says_so(build: Build) -> None:
    with pytest.raises(DockerfileError) as only:
        build("FROM scratch\nRUN x\n")
    with pytest.raises(DockerfileError) as more:
        build("FROM scratch\nRUN x\nCOPY nothing /\n")
    assert only.value.only_unsupported
    assert not more.value.only_unsupported


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("ENV A=1\nFROM scratch\n", 1, "ENV"),
        ("ARG A=1\n", 1, "FROM"),
        ("FROM\n", 1, "FROM"),
        ("FROM a b\n", 1, "FROM"),
        ("FROM a AS\n", 1, "FROM"),
        ("FROM a AS 1x\n", 1, "FROM"),
        ("FROM $NOTHING\n", 1, "FROM"),
        ("FROM --platform=windows/amd64 a\n", 1, "FROM"),
        ("FROM --x=y a\n", 1, "FROM"),
        ("FROM scratch\nCOPY --from= a /\n", 2, "COPY"),
    ],
)
def test_a_wrong_from_is_said_with_its_line(problems_of: Problems, text: str, line: int, what: str) -> None:
    (problem,) = problems_of(text)
    assert problem.startswith(f"Dockerfile:{line}:1: {what}: expected")


def test_an_image_from_elsewhere_is_taken_as_empty_with_a_warning_unless_it_is_a_lambda_image(
    build: Build,
) -> None:
    (warning,) = build("FROM debian:12\n").warnings
    assert "debian:12" in str(warning)
    assert "empty" in str(warning)
    assert build("FROM public.ecr.aws/lambda/python:3.12\n").warnings == ()
    assert build("FROM scratch\n").warnings == ()


def test_files_of_an_image_from_elsewhere_are_not_at_hand(problems_of: Problems) -> None:
    (problem,) = problems_of("FROM scratch\nCOPY --from=ghcr.io/astral-sh/uv:1 /uv /bin/uv\n")
    assert "'/uv'" in problem
    assert "not at hand" in problem


def test_an_image_without_files_has_one_empty_layer(build: Build) -> None:
    assert [layer.entries for layer in build("FROM scratch\n").layers] == [()]


def test_comments_and_spaces_change_nothing_and_everything_else_does(build: Build) -> None:
    files = {"a": "1", "b": "1"}
    plain = build("FROM lambda/python:3\nCOPY a /x\n", files).inputs
    assert build("# hello\nFROM   lambda/python:3\n\n  copy a   /x\n", files).inputs != ""
    assert build("# hello\nFROM lambda/python:3\n\nCOPY a /x\n", files).inputs == plain
    others = [
        build("FROM lambda/python:4\nCOPY a /x\n", files),
        build("FROM lambda/python:3\nCOPY a /y\n", files),
        build("FROM lambda/python:3\nCOPY a /x\nENV A=1\n", files),
        build("FROM --platform=linux/arm64 lambda/python:3\nCOPY a /x\n", files),
        build("FROM lambda/python:3\nCOPY a /x\n", {"a": "2"}),
    ]
    assert len({plain, *(other.inputs for other in others)}) == 6
