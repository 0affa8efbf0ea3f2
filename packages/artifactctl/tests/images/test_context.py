from __future__ import annotations

import os
from pathlib import Path

import pytest
from artifact_contract.errors import FieldError
from artifactctl.images.context import Context
from artifactctl.images.ignore import IgnoreRules, parse_ignore
from artifactctl.images.tree import FileKind


def context(root: Path, ignore: str = "") -> Context:
    return Context(root, parse_ignore(ignore, ".dockerignore")[0])


def test_a_file_has_its_digest_and_only_the_executable_bit(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("abc")
    (tmp_path / "plain").chmod(0o600)
    (tmp_path / "tool").write_text("")
    (tmp_path / "tool").chmod(0o750)
    plain, tool = context(tmp_path).get("plain"), context(tmp_path).get("tool")
    assert (plain.kind, plain.mode, plain.content.size) == (FileKind.FILE, 0o644, 3)
    assert plain.content.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert tool.mode == 0o755


@pytest.mark.parametrize("target", ["../outside", "/etc/passwd", "sub/../../outside", "sub/up/x"])
def test_a_link_that_leaves_the_context_is_refused(tmp_path: Path, target: str) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "outside").write_text("secret")
    (root / "sub" / "up").symlink_to("../..")
    (root / "link").symlink_to(target)
    with pytest.raises(FieldError, match="stay inside the build context"):
        context(root).get("link")


def test_an_absolute_link_to_the_inside_is_refused_since_it_breaks_when_the_artifact_moves(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with pytest.raises(FieldError, match="absolute"):
        context(tmp_path).get("link")


def test_the_context_itself_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_text("")
    (tmp_path / "real" / "l").symlink_to("a")
    (tmp_path / "root").symlink_to("real")
    assert context(tmp_path / "root").get("l").target == "a"


def test_a_pipe_is_refused_and_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FieldError, match="none of them"):
        context(tmp_path).get("pipe")


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff")).write_text("")
    found = context(tmp_path)
    with pytest.raises(FieldError, match="UTF-8"):
        found.get(found.children("")[0])


def test_what_is_missing_or_below_a_file_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert context(tmp_path).get("nothing") is None
    assert context(tmp_path).get("file/below") is None


def test_an_excluded_directory_comes_with_what_an_exception_lets_in(tmp_path: Path) -> None:
    for path in ("a/keep/x", "a/drop", "b/y"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    found = context(tmp_path, "*\n!a/keep\n")
    assert found.get("a")
    assert found.get("a/keep/x")
    assert found.get("a/drop") is None
    assert found.get("b") is None


def test_each_file_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    found = Context(tmp_path, IgnoreRules())
    first = found.get("a")
    (tmp_path / "a").write_text("2")
    assert found.get("a") is first
