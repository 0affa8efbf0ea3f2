from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from artifact_contract.errors import ArtifactError
from artifactctl.images.recipe import Recipe
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Build = Callable[..., Recipe]
Problems = Callable[..., list[str]]
Layer = Callable[[Recipe], dict[str, str]]

FILES = {"src/app.py": "1", "src/lib/x.py": "2", "a.txt": "3", "b.txt": "4", "c.md": "5"}


@pytest.mark.parametrize(
    ("copy", "expected"),
    [
        ("COPY a.txt /", ["a.txt"]),
        ("COPY a.txt /x", ["x"]),
        ("COPY a.txt /x/", ["x", "x/a.txt"]),
        ("COPY a.txt /deep/er/x", ["deep", "deep/er", "deep/er/x"]),
        ("COPY a.txt b.txt /x/", ["x", "x/a.txt", "x/b.txt"]),
        ("COPY *.txt /x/", ["x", "x/a.txt", "x/b.txt"]),
        ("COPY ?.md /x", ["x"]),
        ("COPY [ab].txt ./", ["w", "w/a.txt", "w/b.txt"]),
        ("COPY src /x", ["x", "x/app.py", "x/lib", "x/lib/x.py"]),
        ("COPY src/ /x/", ["x", "x/app.py", "x/lib", "x/lib/x.py"]),
        ("COPY src/* /x/", ["x", "x/app.py", "x/x.py"]),
        ("COPY /src/lib .", ["w", "w/x.py"]),
        ("COPY a.txt rel", ["w", "w/rel"]),
        ("COPY a.txt ../up", ["up"]),
        ("COPY a.txt /w", ["w", "w/a.txt"]),
        ('COPY ["a.txt", "/x y/"]', ["x y", "x y/a.txt"]),
        ("COPY $NAME ${DIR:-/d}/", ["d", "d/a.txt"]),
        ("COPY --link a.txt /x", ["x"]),
        ("COPY src/lib/../app.py /x", ["x"]),
        ("COPY . /all/", None),
    ],
)
def test_files_land_where_docker_puts_them(
    build: Build, last_layer: Layer, copy: str, expected: list[str] | None
) -> None:
    layer = last_layer(build(f"FROM scratch\nENV NAME=a.txt\nWORKDIR /w\n{copy}\n", FILES))
    assert list(layer) == (expected or ["all", *sorted(f"all/{path}" for path in [*FILES, "src", "src/lib"])])


def test_a_destination_that_is_a_directory_already_takes_files_by_name(
    build: Build, last_layer: Layer
) -> None:
    recipe = build("FROM scratch\nCOPY src /x\nCOPY a.txt /x\n", FILES)
    assert list(last_layer(recipe)) == ["x", "x/a.txt"]


def test_every_working_directory_so_far_is_a_directory(build: Build, last_layer: Layer) -> None:
    recipe = build("FROM scratch\nWORKDIR /a/b\nWORKDIR /c\nCOPY a.txt /a\n", FILES)
    assert list(last_layer(recipe)) == ["a", "a/a.txt"]


def test_copying_a_directory_that_may_hold_more_than_is_known_is_a_warning(build: Build) -> None:
    stage = "FROM python:3.12 AS build\nCOPY src /opt/mine\nFROM scratch\n"
    (_, warning) = build(f"{stage}COPY --from=build /opt /opt\n", FILES).warnings
    assert "files of python:3.12 are not at hand" in str(warning)
    assert len(build(f"{stage}COPY --from=build /opt/mine /opt\n").warnings) == 1


@given(st.lists(st.sampled_from(["..", ".", "src", "*", "?ecret", "[a-z]*", "secret", "up", ""]), min_size=1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_source_leads_out_of_the_context(build: Build, tmp_path: Path, segments: list[str]) -> None:
    build("FROM scratch\n", FILES)
    (tmp_path / "secret").write_text("secret")
    up = tmp_path / "context" / "up"
    if not up.is_symlink():
        up.symlink_to("..")
    with suppress(ArtifactError):
        recipe = build(f"FROM scratch\nCOPY {'/'.join(segments)} /x/\n")
        contents = [entry.content for layer in recipe.layers for entry in layer.entries if entry.content]
        assert all(one.path.startswith(f"{tmp_path / 'context'}/") for one in contents)


def test_directories_a_lambda_image_is_known_to_have_take_files_by_name(
    build: Build, last_layer: Layer
) -> None:
    recipe = build("FROM public.ecr.aws/lambda/python:3.12\nCOPY a.txt ${LAMBDA_TASK_ROOT}\n", FILES)
    assert list(last_layer(recipe)) == ["var", "var/task", "var/task/a.txt"]


def test_names_that_may_be_links_in_the_base_are_not_written_as_directories(
    build: Build, last_layer: Layer
) -> None:
    recipe = build("FROM debian\nCOPY a.txt b.txt /bin/\n", FILES)
    assert list(last_layer(recipe)) == ["bin/a.txt", "bin/b.txt"]


def test_a_directory_of_the_base_keeps_its_mode(build: Build, last_layer: Layer) -> None:
    layer = last_layer(build("FROM debian\nCOPY a.txt /tmp/\n", FILES))
    assert layer == {"tmp": "1777 directory", "tmp/a.txt": "644 file"}


def test_modes_are_normalised_and_chmod_overrides_them(
    build: Build, last_layer: Layer, tmp_path: Path
) -> None:
    build("FROM scratch\n", FILES)
    (tmp_path / "context/src/app.py").chmod(0o700)
    plain = last_layer(build("FROM scratch\nCOPY src /x\n"))
    assert plain["x/app.py"] == "755 file"
    assert plain["x/lib/x.py"] == "644 file"
    chosen = last_layer(build("FROM scratch\nCOPY --chmod=600 src /x/y\n"))
    assert set(chosen.items()) >= {
        ("x", "755 directory"),
        ("x/y", "600 directory"),
        ("x/y/app.py", "600 file"),
    }


def test_another_owner_is_a_warning_since_everything_belongs_to_root(build: Build) -> None:
    (warning,) = build("FROM scratch\nCOPY --chown=1000:1000 a.txt /x\n", FILES).warnings
    assert "0:0" in str(warning)
    assert build("FROM scratch\nCOPY --chown=root:root a.txt /x\n", FILES).warnings == ()


def test_links_below_a_source_are_kept_and_a_source_that_is_a_link_is_followed(
    build: Build, last_layer: Layer, tmp_path: Path
) -> None:
    build("FROM scratch\n", FILES)
    (tmp_path / "context/src/link").symlink_to("lib/x.py")
    (tmp_path / "context/top").symlink_to("src")
    (tmp_path / "context/one").symlink_to("a.txt")
    layer = last_layer(build("FROM scratch\nCOPY top /x\n"))
    assert layer["x/link"] == "-> lib/x.py"
    assert layer["x/lib/x.py"] == "644 file"
    assert last_layer(build("FROM scratch\nCOPY one /x/\n")) == {"x": "755 directory", "x/one": "644 file"}


def test_a_destination_behind_a_link_in_the_image_is_followed(
    build: Build, last_layer: Layer, tmp_path: Path
) -> None:
    build("FROM scratch\n", FILES)
    (tmp_path / "context/src/current").symlink_to("lib")
    recipe = build("FROM scratch\nCOPY src /x\nCOPY a.txt /x/current/\n")
    assert list(last_layer(recipe)) == ["x", "x/lib", "x/lib/a.txt"]


@pytest.mark.parametrize(
    ("link", "target", "copy"),
    [
        ("out", "../secret", "COPY out /x"),
        ("src/out", "../../secret", "COPY src /x"),
        ("up", "..", "COPY up/secret /x"),
        ("src/abs", "/etc/passwd", "COPY src /x"),
    ],
)
def test_links_out_of_the_context_are_refused(
    build: Build, problems_of: Problems, tmp_path: Path, link: str, target: str, copy: str
) -> None:
    build("FROM scratch\n", FILES)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "context" / link).symlink_to(target)
    (problem,) = problems_of(f"FROM scratch\n{copy}\n")
    assert "links that stay inside the build context" in problem


def test_a_link_that_would_leave_the_image_is_refused(
    build: Build, problems_of: Problems, tmp_path: Path
) -> None:
    build("FROM scratch\n", FILES)
    (tmp_path / "context/src/lib/deep").symlink_to("../../a.txt")
    (problem,) = problems_of("FROM scratch\nCOPY src/lib /\n")
    assert "links that stay inside the image" in problem


@pytest.mark.parametrize(
    ("copy", "says"),
    [
        ("COPY nothing /x", "nothing at 'nothing'"),
        ("COPY *.zip /x/", "nothing at '*.zip'"),
        ("COPY ../secret /x", "sources inside the build context"),
        ("COPY src/../../secret /x", "sources inside the build context"),
        ("COPY a.txt", "sources and a destination"),
        ("COPY", "sources and a destination"),
        ("COPY $NOTHING a.txt /x/", "sources and a destination"),
        ("COPY a.txt b.txt /x", "ends with /"),
        ("COPY *.txt /x", "ends with /"),
        ("COPY a.txt[ /x", "well-formed pattern"),
        ("COPY --chmod=rwx a.txt /x", "octal"),
        ("COPY --nope a.txt /x", "--nope"),
        ("COPY a.txt /x/.wh.b.txt", "start with .wh."),
        ("COPY a.txt /x/.wh.dir/", "start with .wh."),
        ("COPY src /x\nCOPY a.txt /x/lib/x.py/y", "a directory in the image"),
        ("COPY a.txt /x\nCOPY src /x", "a directory in the image"),
        ("COPY src /x\nCOPY src/lib/x.py /y/lib\nCOPY src /y", "a directory in the image"),
    ],
)
def test_what_cannot_be_copied_is_said(problems_of: Problems, copy: str, says: str) -> None:
    (problem,) = problems_of(f"FROM scratch\n{copy}\n", FILES)
    assert "COPY" in problem
    assert says in problem
