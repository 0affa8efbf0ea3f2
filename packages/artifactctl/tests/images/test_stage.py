from __future__ import annotations

from collections.abc import Callable

import pytest
from artifactctl.images.recipe import Recipe

Build = Callable[..., Recipe]
Problems = Callable[..., list[str]]


def test_environment_and_labels_come_in_both_forms_and_see_what_was_set_before_their_line(
    build: Build,
) -> None:
    config = build(
        "FROM scratch\nENV A=1 B='two words'\nENV A=2 C=$A\nENV OLD some text $B\n"
        'LABEL "com.example"="x y" a=$A\nLABEL a=3\n'
    ).config
    assert config.env == {"A": "2", "B": "two words", "C": "1", "OLD": "some text two words"}
    assert config.labels == {"com.example": "x y", "a": "3"}


def test_commands_come_in_both_forms(build: Build) -> None:
    config = build('FROM scratch\nENTRYPOINT ["/run", "$A"]\nCMD echo $HOME  x\n').config
    assert config.entrypoint == ("/run", "$A")
    assert config.cmd == ("/bin/sh", "-c", "echo $HOME  x")


def test_an_own_entry_point_drops_the_command_of_the_base_but_not_an_own_one(build: Build) -> None:
    inherited = build('FROM scratch AS a\nCMD ["x"]\nFROM a\nENTRYPOINT ["e"]\n').config
    own = build('FROM scratch\nCMD ["x"]\nENTRYPOINT ["e"]\n').config
    assert (inherited.cmd, own.cmd) == (None, ("x",))


def test_something_like_json_is_a_shell_command_with_a_warning(build: Build) -> None:
    recipe = build("FROM scratch\nCMD ['app.handler']\n")
    assert recipe.config.cmd == ("/bin/sh", "-c", "['app.handler']")
    assert "taken as a shell command" in str(recipe.warnings[0])


def test_a_working_directory_starts_at_the_one_before(build: Build) -> None:
    assert build("FROM scratch\nWORKDIR /a\nWORKDIR b/../c\n").config.workdir == "/a/c"
    assert build("FROM scratch\nWORKDIR a b\n").config.workdir == "/a b"


def test_the_search_path_can_be_extended_though_no_base_sets_it(build: Build) -> None:
    for base in ("scratch", "debian", "lambda/python"):
        path = build(f"FROM {base}\nENV PATH=/x:$PATH\n").config.env["PATH"]
        assert path.startswith("/x:/")
        assert "/usr/bin" in path


def test_the_rest_of_the_configuration(build: Build) -> None:
    config = build(
        "FROM scratch\nARG P=8000\nUSER 1000:1000\nSTOPSIGNAL SIGINT\nEXPOSE $P 53/udp 9000-9002/TCP\n"
        'VOLUME /data /x\nVOLUME ["/y"]\nMAINTAINER somebody\n'
    ).config
    assert (config.user, config.stop_signal) == ("1000:1000", "SIGINT")
    assert config.ports == ("53/udp", "8000/tcp", "9000/tcp", "9001/tcp", "9002/tcp")
    assert config.volumes == ("/data", "/x", "/y")


def test_arguments_have_defaults_and_environment_wins(build: Build) -> None:
    text = "FROM scratch\nARG A=1\nARG B=${A}2 C\nENV D=$A-$B-$C E=${F:-f}\nENV A=env\nARG A=late\nENV G=$A\n"
    assert build(text).config.env == {"D": "1-12-", "E": "f", "A": "env", "G": "env"}
    assert build(text, build_args={"C": "c", "F": "not declared"}).config.env["D"] == "1-12-c"


@pytest.mark.parametrize(
    "instruction",
    [
        "RUN pip install x",
        "ADD a /b",
        "HEALTHCHECK NONE",
        "ONBUILD COPY a b",
        'SHELL ["bash"]',
        "ENV A=${B#x}",
        "COPY <<EOF /x\nEOF",
        "COPY --parents a /b",
        "COPY --chmod=u+x a /b",
    ],
)
def test_what_needs_an_engine_is_an_error_that_names_line_instruction_and_builder(
    problems_of: Problems, instruction: str
) -> None:
    (problem,) = problems_of(f"FROM scratch\n\n{instruction}\n", {"a": ""})
    assert problem.startswith(f"Dockerfile:3:1: {instruction.split()[0]}: expected")
    assert "${" in instruction or "buildx" in problem


@pytest.mark.parametrize(
    "instruction",
    [
        "ENV",
        "ENV A",
        "ENV =x",
        "LABEL a=1 b",
        "CMD",
        "CMD [1]",
        "WORKDIR",
        "WORKDIR $NOTHING",
        "USER",
        "EXPOSE http",
        "EXPOSE 9-8",
        "EXPOSE 70000",
        "VOLUME",
        "ARG",
        "ARG =1",
        "ENV A='open",
        "ENV --flag A=1",
    ],
)
def test_what_makes_no_sense_is_an_error_with_its_line(problems_of: Problems, instruction: str) -> None:
    (problem,) = problems_of(f"FROM scratch\n{instruction}\n")
    assert problem.startswith(f"Dockerfile:2:1: {instruction.split()[0]}: expected")
    assert "buildx" not in problem
