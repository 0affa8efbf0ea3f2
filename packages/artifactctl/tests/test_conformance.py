"""Every conformance case, with the command that users have: what it returns, says and leaves behind."""

import json
import os
import shutil
from pathlib import Path

import pytest
from artifact_contract.codec import read_yaml
from artifact_contract.config_files import CONFIG_FILES
from artifact_contract.nodes import Scalar, Sequence, plain_python, resolves_to_string
from artifactctl import cli
from artifactctl.generations import generation_numbers
from click.testing import CliRunner

CASES = Path(__file__).parents[3] / "conformance"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir()) if CASES.exists() else []

pytestmark = pytest.mark.skipif(not NAMES, reason="a member by itself has no shared cases")


@pytest.fixture
def case(request, tmp_path):
    """A copy of the case, since tests of other tools may run on the original."""
    shutil.copytree(CASES / request.param, tmp_path / "case", symlinks=True)
    return tmp_path / "case"


def expected_of(case):
    return plain_python(read_yaml((case / "expected.yml").read_bytes(), "expected.yml"))


def run(case, config_dir, *, strict=False):
    """Apply the manifests of a case one after the other; returns the outcome of the last one that ran."""
    expected = expected_of(case)
    if (case / "before").exists() and not config_dir.exists():
        shutil.copytree(case / "before", config_dir)
    secrets = ["--secret-env", str(case / expected["secret_env"])] if "secret_env" in expected else []
    for manifest in expected.get("apply", [expected.get("manifest", "artifact.yml")]):
        arguments = [
            "apply",
            "--artifact",
            str(case / manifest),
            "--out",
            str(config_dir),
            "--output",
            "json",
        ]
        done = CliRunner().invoke(cli.cli, [*arguments, *secrets, *(["--strict"] if strict else [])])
        if done.exit_code:
            break
    return done


def meaning(node, depth=0):
    """What a file says, as the cases compare it: keys in any order, scalars with text and type."""
    if isinstance(node, Scalar):
        return node.text, node.plain and not resolves_to_string(node.text)
    if isinstance(node, Sequence):
        return [meaning(item, depth + 1) for item in node.items]
    items = {key: meaning(value, depth + 1) for key, value in node.items.items()}
    if "path" in items and "function" in items:
        items["method"] = items.get("method", ("GET", False))[0].upper(), False
    return {key: value for key, value in items.items() if value not in ({}, []) or depth > 1}


def meaning_of(path):
    return meaning(read_yaml(path.read_bytes(), str(path)))


@pytest.mark.parametrize("case", NAMES, indirect=True)
def test_the_exit_code_is_the_expected_one(case, tmp_path):
    expected = expected_of(case)
    done = run(case, tmp_path / "config")
    assert done.exit_code == expected["exit"], done.stderr
    assert "Traceback" not in done.stderr
    if expected["exit"]:
        assert done.stdout == ""
        assert "error: " in done.stderr
        assert not (tmp_path / "config").exists() or not (tmp_path / "config" / "current").exists()
    assert run(case, tmp_path / "strict", strict=True).exit_code == expected["strict"]


@pytest.mark.parametrize("case", NAMES, indirect=True)
def test_config_dir_says_what_it_should(case, tmp_path):
    expected = expected_of(case)
    done = run(case, tmp_path / "config")
    for name in CONFIG_FILES:
        if (case / "after" / name).exists():
            assert meaning_of(tmp_path / "config" / name) == meaning_of(case / "after" / name), name
    if "generations" in expected:
        assert len(generation_numbers(tmp_path / "config")) == expected["generations"]
    if done.exit_code == 0:
        before = {path: path.lstat().st_mtime_ns for path in (tmp_path / "config").rglob("*")}
        if "apply" not in expected:
            again = run(case, tmp_path / "config")
            assert not json.loads(again.stdout)["changed"]
            assert {path: path.lstat().st_mtime_ns for path in (tmp_path / "config").rglob("*")} == before


@pytest.mark.parametrize("case", NAMES, indirect=True)
def test_every_warning_and_missing_secret_is_told(case, tmp_path):
    expected = expected_of(case)
    done = run(case, tmp_path / "config")
    problems = {(one["at"], one["severity"]) for one in expected.get("problems", [])}
    lines = done.stderr.replace(f"{os.fspath(case)}/", "").splitlines()
    for at, severity in problems:
        start = f"{'error' if severity == 'error' else 'warning'}: {at}: "
        assert any(line.startswith(start) for line in lines), (start, lines)
    for name in expected.get("secrets_missing", []):
        assert any(f": {name}: expected a value" in line or name in line for line in lines)
    for warning in expected.get("merge_warnings", []):
        assert any(all(text in line for text in warning["mentions"]) for line in lines)
    if (
        "merge_warnings" not in expected
        and done.exit_code == 0
        and "apply" not in expected
        and not (case / "before").exists()
    ):
        told = {line.split(": ")[1] for line in lines if line.startswith("warning: ")}
        assert told <= {at for at, _ in problems} | {"routing.yml"}


@pytest.mark.parametrize("case", NAMES, indirect=True)
def test_the_case_is_left_as_it_was(case, tmp_path):
    def state():
        return {path: (path.lstat().st_mtime_ns, path.lstat().st_mode) for path in case.rglob("*")}

    before = state()
    run(case, tmp_path / "config")
    assert state() == before
