from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from artifactctl.cli import cli
from click import Context
from click.testing import CliRunner, Result

Artifact = Any


DOCS = Path(__file__).parents[4] / "docs" / "prepare-images.md"


def run(artifact: Artifact, layout: Path, *more: str) -> Result:
    arguments = ["--artifact", str(artifact.manifest), "--target", f"oci-layout:{layout}", *more]
    return CliRunner().invoke(cli, ["prepare-images", *arguments])


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return tmp_path / "layout"


def test_progress_goes_to_stderr_and_the_table_to_stdout(artifact: Artifact, layout: Path) -> None:
    artifact.entry().base().function("a")
    first = run(artifact, layout)
    assert first.exit_code == 0
    assert [line.split()[:2] for line in first.stderr.splitlines()] == [
        ["built", "esb-lambda-base:python3.12-0123456789ab"],
        ["built", "demo-dev-a:1"],
    ]
    assert first.stdout.splitlines()[-1] == f"oci-layout:{layout}: 2 images: 2 built, 0 reused, 0 failed"
    assert "2 reused" in run(artifact, layout, "--jobs", "3").stdout
    assert "2 built" in run(artifact, layout, "--no-cache").stdout


def test_json_is_the_whole_of_stdout(artifact: Artifact, layout: Path) -> None:
    artifact.entry().base().function("a").function("bad", "FROM scratch\nRUN x\n")
    result = run(artifact, layout, "--output", "json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert (document["built"], document["reused"], document["failed"]) == (2, 0, 1)
    _, good, bad = document["images"]
    assert good["functions"] == ["a"]
    assert good["digest"].startswith("sha256:")
    assert good["error"] is None
    assert bad["digest"] is None
    assert "Dockerfile:2" in bad["error"]


def test_a_failed_image_is_named_with_file_and_line_and_the_exit_code_is_3(
    artifact: Artifact, layout: Path
) -> None:
    artifact.entry().base().function("a").function("bad", "FROM scratch\nRUN x\n")
    result = run(artifact, layout)
    assert result.exit_code == 3
    assert "1 failed (demo-dev-bad:1)" in result.stdout
    assert "functions/bad/Dockerfile:2:1: RUN" in result.stderr
    assert "buildx" in result.stderr


def test_a_layout_that_is_none_has_exit_code_4(artifact: Artifact, layout: Path) -> None:
    artifact.entry().base().function("a")
    layout.mkdir()
    (layout / "index.json").write_text("{")
    result = run(artifact, layout)
    assert (result.exit_code, result.stdout) == (4, "")
    assert "expected the index of an OCI image layout" in result.stderr


@pytest.mark.parametrize("arguments", [["--target", "nowhere"], ["--jobs", "0"], ["--output", "xml"]])
def test_wrong_arguments_have_exit_code_2(artifact: Artifact, layout: Path, arguments: list[str]) -> None:
    artifact.entry()
    assert run(artifact, layout, *arguments).exit_code == 2


def test_a_missing_manifest_has_exit_code_3(artifact: Artifact, layout: Path) -> None:
    assert run(artifact, layout).exit_code == 3
    assert not layout.exists()


@pytest.mark.skipif(not DOCS.exists(), reason="a member by itself has no shared documentation")
def test_the_guide_has_every_option() -> None:
    table = DOCS.read_text().split("\n## ")[0]
    command = cli.get_command(Context(cli), "prepare-images")
    for parameter in command.params:
        for option in parameter.opts:
            assert re.search(rf"^\| .*`{option}[ `]", table, re.MULTILINE), option
        for choice in getattr(parameter.type, "choices", ()):
            assert re.search(rf"^\| .*[` |]{choice}[`\\|]", table, re.MULTILINE), choice


def test_a_target_that_must_be_said_is_said_to_be_missing(artifact: Artifact) -> None:
    artifact.entry().base().function("a")
    result = CliRunner().invoke(cli, ["prepare-images", "--artifact", str(artifact.manifest)])
    assert result.exit_code == 2
    assert "--target: expected oci-layout:DIR for an artifact of mode process" in result.stderr


def test_json_lines_are_on_stderr(artifact: Artifact, layout: Path) -> None:
    artifact.entry().base().function("a")
    result = run(artifact, layout, "--output", "json")
    events = [json.loads(line)["event"] for line in result.stderr.splitlines()]
    assert events == ["waiting", "waiting", "building", "built", "building", "built"]
    assert run(artifact, layout, "--progress", "off").stderr == ""


def test_a_base_that_cannot_be_asked_for_is_the_worlds_fault_and_said_once(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact.entry().base().function("a").function("b")
    monkeypatch.setenv("PATH", "/nowhere")
    arguments = ["prepare-images", "--artifact", str(artifact.manifest), "--target", "docker"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 4
    assert result.stderr.count("docker: expected the docker command on PATH, found none") == 1
