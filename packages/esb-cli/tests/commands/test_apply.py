"""`esb artifact apply`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from artifact_contract.loader import load_runtime_config
from click.testing import CliRunner
from esb_cli.cli import esb
from esb_cli.commands.apply import apply_command

ARTIFACTCTL = Path(sys.executable).with_name("artifactctl")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run `esb artifact …` in a new project."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONFIG_DIR", raising=False)
    CliRunner().invoke(esb, ["init", "--name", "shop"], prog_name="esb", catch_exceptions=False)

    def in_project(*args, **environ):
        return CliRunner().invoke(esb, ["artifact", *args], prog_name="esb", env=environ)

    return in_project


def test_the_projects_artifact_is_applied(run, tmp_path):
    run("generate")
    result = run("apply", "--out", "config")
    assert result.exit_code == 0, result.stderr
    assert "eneration 1" in result.stdout
    assert list(load_runtime_config(tmp_path / "config").config.functions.functions) == ["Hello"]
    assert "othing" in run("apply", CONFIG_DIR="config").stdout


def test_the_result_as_json_is_what_artifactctl_prints(run, tmp_path):
    run("generate")
    ours = json.loads(run("apply", "--out", "a", "--output", "json").stdout)
    args = ["apply", "--artifact", "artifact/artifact.yml", "--out", "b", "--output", "json"]
    done = subprocess.run([ARTIFACTCTL, *args], cwd=tmp_path, capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout)
    assert ours | {"config_dir": ""} == theirs | {"config_dir": ""}


def test_it_takes_the_options_of_artifactctl_apply():
    done = subprocess.run([ARTIFACTCTL, "apply", "--help"], capture_output=True, text=True, check=True)
    theirs = {word for word in done.stdout.replace(",", " ").split() if word.startswith("--")} - {
        "--help",
        "--verbose",
    }
    ours = {name for option in apply_command.params for name in option.opts}
    assert ours == theirs


def test_a_missing_artifact_is_rejected_with_its_path(run, tmp_path):
    result = run("apply", "--out", "config")
    assert result.exit_code == 3
    assert "artifact/artifact.yml" in result.stderr
    assert not (tmp_path / "config").exists()


def test_a_file_where_the_configuration_goes_is_the_worlds_fault(run, tree):
    run("generate")
    tree({"config": ""})
    result = run("apply", "--out", "config")
    assert result.exit_code == 4
    assert "Traceback" not in result.stderr


def test_without_a_directory_it_is_a_usage_error(run):
    assert run("apply").exit_code == 2
