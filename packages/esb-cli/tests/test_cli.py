"""The command line as a whole: what runs where, exit codes, start-up."""

import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest
from artifact_contract.errors import SchemaError
from click.testing import CliRunner
from esb_cli.cli import Surroundings, esb, exit_code
from esb_cli.errors import StrictError, TemplateError, UsageError, WorldError
from esb_cli.version import __version__

COMMANDS = [["artifact", "generate"], ["artifact", "apply", "--out", "config"]]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Return a function that runs esb in a directory."""

    def in_directory(*args, cwd=tmp_path, **environ):
        monkeypatch.chdir(cwd)
        for name in ("SOURCE_DATE_EPOCH", "CONTAINER_REGISTRY", "CONFIG_DIR"):
            monkeypatch.delenv(name, raising=False)
        return CliRunner().invoke(esb, args, prog_name="esb", env=environ)

    return in_directory


def test_the_version_is_the_distributions(run):
    assert __version__ == version("esb-cli")
    assert run("version").stdout == run("--version").stdout == f"esb {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_outside_a_project_what_needs_one_says_what_to_do(run, command):
    result = run(*command)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: no project here: ")
    assert "esb init" in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "-h",
        "help",
        "help artifact generate",
        "artifact generate --help",
        "version",
        "completion bash",
        "completion zsh",
        "completion fish",
        "init",
    ],
)
def test_outside_a_project_help_version_init_and_completion_run(run, command):
    result = run(*command.split())
    assert result.exit_code == 0
    assert result.stdout


def test_help_for_a_command_is_its_help_option(run):
    assert run("help", "artifact", "generate").stdout == run("artifact", "generate", "--help").stdout
    assert run("help").stdout == run("--help").stdout
    result = run("help", "artifact", "destroy")
    assert (result.exit_code, "no such command: artifact destroy" in result.stderr) == (2, True)


def test_completion_knows_commands_and_options(run):
    script = run("completion", "bash").stdout
    assert "_ESB_COMPLETE=bash_complete" in script
    done = subprocess.run(
        [sys.executable, "-c", "from esb_cli.cli import main; main()"],
        env={"_ESB_COMPLETE": "bash_complete", "COMP_WORDS": "esb artifact ge", "COMP_CWORD": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["plain,generate"]


def test_a_mistyped_command_is_a_usage_error(run):
    assert run("artefact").exit_code == 2
    assert run("artifact", "generate", "--colour").exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (TemplateError([]), 3),
        (SchemaError([]), 3),
        (StrictError("x"), 3),
        (WorldError("x"), 4),
        (OSError("x"), 4),
        (KeyError("x"), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_error_has_its_exit_code(error, code):
    assert exit_code(error) == code


def test_the_appliers_errors_have_the_same_codes():
    from artifactctl import RequestError
    from artifactctl import WorldError as ApplierWorldError

    assert (exit_code(RequestError("x")), exit_code(ApplierWorldError("x"))) == (2, 4)


def test_with_verbose_an_error_says_what_caused_it(run, tree, tmp_path):
    tree({"esb.toml": "[project\n"})
    assert "caused by" not in run("artifact", "generate").stderr
    assert "  caused by TOMLDecodeError: " in run("-v", "artifact", "generate").stderr


def test_a_time_that_is_none_is_a_usage_error(run):
    result = run("version", SOURCE_DATE_EPOCH="yesterday")
    assert result.exit_code == 2
    assert result.stderr == "error: SOURCE_DATE_EPOCH: expected seconds since 1970, found 'yesterday'\n"


def test_paths_are_taken_and_shown_from_here():
    here = Surroundings(Path("/a/b"), {}, datetime.now(UTC), fixed_time=False)
    assert here.absolute("../c/./d") == Path("/a/c/d")
    assert here.absolute("/x") == Path("/x")
    assert (here.shown(Path("/a/b/c")), here.shown(Path("/a/c"))) == ("c", "/a/c")


def test_help_imports_nothing_of_what_commands_need():
    code = (
        "import sys\nfrom esb_cli.cli import esb\nesb(['--help'], standalone_mode=False)\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    heavy = {"artifactctl", "ruamel.yaml", "cattrs", "rich", "uv", "subprocess", "importlib.metadata"}
    assert loaded & heavy == set()
    assert not any(name.startswith("artifact_contract.") and "errors" not in name for name in loaded)
