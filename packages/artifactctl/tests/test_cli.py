"""The command line: exit codes, what goes to stdout and to stderr, and what the documentation must say."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from artifactctl import cli
from artifactctl.cli import exit_code
from artifactctl.errors import RequestError, WorldError
from artifactctl.version import __version__
from click.testing import CliRunner

COMMANDS = ["validate-id", "merge", "prepare-images", "apply", "plan", "history", "rollback", "status"]
DOCS = Path(__file__).parents[3] / "docs" / "artifact-operations.md"
MAIN = [sys.executable, "-c", "from artifactctl.cli import main; main()"]


@pytest.fixture
def run(box):
    def invoke(*arguments, env=None):
        return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments], env=env or {})

    return invoke


@pytest.fixture
def artifact(build):
    return build().entry(functions=["api"], routes=["GET /orders"]).write()


def test_the_commands_are_listed_without_running_anything(run):
    done = run("--help")
    assert done.exit_code == 0
    assert re.findall(r"^  ([a-z][a-z-]+)  ", done.stdout, re.MULTILINE) == COMMANDS
    assert run("--version").stdout == f"artifactctl {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run, command):
    done = run(command, "--help")
    assert done.exit_code == 0
    assert f"Usage: cli {command}" in done.stdout


def test_validate_id_prints_the_ids(run, artifact):
    done = run("validate-id", "--artifact", artifact)
    assert (done.exit_code, done.stderr) == (0, "")
    assert re.fullmatch(r"orders-[0-9a-f]{8}\n", done.stdout)
    shape = json.loads(run("validate-id", "--artifact", artifact, "--output", "json").stdout)
    assert shape == {
        "artifact": str(artifact),
        "entries": [{"id": done.stdout.strip(), "ref": "orders.yaml"}],
        "warnings": [],
    }


def test_apply_tells_what_changed(run, box, artifact):
    done = run("apply", "--artifact", artifact, "--out", box.dir)
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"Generation 1 is now in force in {box.dir}" in done.stdout
    assert "    + functions api\n    + routes    GET /orders\n" in done.stdout
    assert done.stdout.endswith("2 added, 0 replaced, 0 removed\n")
    again = run("apply", "--artifact", artifact, "--out", box.dir)
    assert again.stdout == f"Nothing to do: {box.dir} has all of this, at generation 1.\n"


def test_config_dir_may_come_from_the_environment(run, box, artifact):
    assert run("merge", "--artifact", artifact, env={"CONFIG_DIR": str(box.dir)}).exit_code == 0
    assert box.functions()


def test_plan_returns_10_when_asked_and_there_is_something_to_change(run, box, artifact):
    arguments = ("plan", "--artifact", artifact, "--out", box.dir)
    assert run(*arguments).exit_code == 0
    done = run(*arguments, "--exit-code")
    assert done.exit_code == 10
    assert f"Generation 1 would be put in force in {box.dir}" in done.stdout
    run("apply", "--artifact", artifact, "--out", box.dir)
    done = run(*arguments, "--exit-code")
    assert (done.exit_code, done.stdout) == (0, f"Nothing to change: {box.dir} is at generation 1.\n")


def test_the_way_back(run, box, build, artifact):
    run("apply", "--artifact", artifact, "--out", box.dir)
    run("apply", "--artifact", build().entry(functions=["b"]).write(), "--out", box.dir)
    done = run("history", "--out", box.dir)
    assert re.search(r"^\* +2 .* shop +dev +orders-[0-9a-f]{8}$", done.stdout, re.MULTILINE)
    done = run("rollback", "--out", box.dir)
    assert (done.exit_code, done.stdout) == (0, f"Generation 1 is in force again in {box.dir}  (before: 2)\n")
    done = run("status", "--out", box.dir)
    assert done.stdout.startswith(f"Generation 1 is in force in {box.dir}  (project shop, env dev; since ")
    assert done.stdout.endswith("Other generations kept: 2.\nNo file was edited by hand.\n")
    assert run("rollback", "--out", box.dir, "--to", "1").stdout.endswith(
        "in force already.\n".replace("in force", "in force in " + str(box.dir))
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("", 2, "Usage:"),
        ("aply", 2, "No such command 'aply'"),
        ("apply", 2, "Missing option '--artifact'"),
        ("apply --artifact {artifact}", 2, "Missing option '--out' (env var: 'CONFIG_DIR')"),
        ("apply --artifact {artifact} --out {config} --force", 2, "No such option"),
        ("apply --artifact {artifact} --out {config} --keep -1", 2, "'--keep'"),
        ("apply --artifact {artifact} --out {config} --lock-timeout soon", 2, "'--lock-timeout'"),
        ("validate-id --artifact {artifact} --output xml", 2, "'--output'"),
        ("apply --artifact {artifact} --out {artifact}", 4, "expected a directory, found something else"),
        ("apply --artifact {artifact} --out {artifact}/x", 4, "Not a directory"),
        ("apply --artifact nowhere.yml --out {config}", 3, "nowhere.yml: expected a file, found nothing"),
        ("apply --artifact . --out {config}", 3, "expected a file, found a directory"),
        ("apply --artifact {artifact} --out {root}", 2, "inside the artifact root"),
        ("history --out nowhere", 2, "nowhere: no such directory; nothing has been applied to it"),
        ("status --out nowhere", 2, "nowhere: no such directory"),
        ("rollback --out nowhere", 2, "nowhere: no such directory"),
        ("rollback --out {config} --to 0", 2, "'--to'"),
        ("prepare-images --artifact {artifact} --target floppy:a", 2, "registry, docker or oci-layout:DIR"),
    ],
)
def test_a_users_mistake_has_its_code_and_message_and_no_traceback(
    run, box, artifact, arguments, code, message
):
    places = {"artifact": artifact, "config": box.dir, "root": artifact.parent / "orders.yaml"}
    done = run(*arguments.format(**places).split())
    assert done.exit_code == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not box.dir.exists()


def test_a_rejected_artifact_is_3_with_every_problem_on_stderr(run, box, build):
    files = {"functions.yml": "functions:\n  a: {}\n  b: {}\n"}
    done = run(
        "apply", "--artifact", build().entry(files=files, content_digest="0" * 64).write(), "--out", box.dir
    )
    assert (done.exit_code, done.stdout) == (3, "")
    kinds = [line.partition(":")[0] for line in done.stderr.splitlines()]
    assert kinds == ["warning", "error", "error"]
    assert not box.dir.exists()


def test_warnings_go_to_stderr_and_into_the_json(run, box, build):
    path = build().entry(functions=["api"], routes=["GET /a"], content_digest="0" * 64).write()
    done = run("apply", "--artifact", path, "--out", box.dir, "--output", "json")
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: ")
    (warning,) = json.loads(done.stdout)["warnings"]
    assert (warning["field"], warning["severity"]) == ("artifacts[0].content_digest", "strict")
    assert run("apply", "--artifact", path, "--out", box.dir, "--strict").exit_code == 3


def test_verbose_shows_causes_and_all_names(run, box, build):
    names = [f"function-{number}" for number in range(9)]
    path = build().entry(functions=names).write()
    short = run("plan", "--artifact", path, "--out", box.dir).stdout
    assert "function-5 and 3 more\n" in short
    assert "function-8" in run("plan", "--artifact", path, "--out", box.dir, "-v").stdout
    done = run("apply", "--artifact", "nowhere", "--out", box.dir, "-v")
    assert "caused by FileNotFoundError" in done.stderr


def test_a_bug_is_a_traceback(run, box, artifact, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("artifactctl.timeline.history", broken)
    box.dir.mkdir()
    done = run("history", "--out", box.dir)
    assert done.exit_code == 1
    assert isinstance(done.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RequestError(""), 2),
        (WorldError(""), 4),
        (PermissionError(13, "Permission denied", "x"), 4),
        (BrokenPipeError(), 141),
        (KeyboardInterrupt(), 130),
        (KeyError("x"), 1),
    ],
)
def test_each_kind_of_failure_has_its_code(error, code):
    assert exit_code(error) == code


def test_a_reader_that_goes_away_is_no_failure_of_ours(box, states):
    for number in range(3):
        box.apply(states.version(str(number)))
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*MAIN, "history", "--out", box.dir], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_name_that_the_terminal_cannot_show_is_no_failure(box, build):
    path = build().entry("größe.yaml", functions=["größe", "大"]).write()
    environ = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    command = [*MAIN, "plan", "--artifact", path, "--out", f"{box.dir}\udcff"]
    done = subprocess.run(command, capture_output=True, encoding="latin-1", env=environ, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "+ functions größe, \\u5927\n" in done.stdout


def test_ctrl_c_while_waiting_leaves_everything_as_it_was(box, states, children, tmp_path):
    box.apply(states.version("0"))
    from filelock import FileLock

    with FileLock(box.dir / ".lock"):
        path = states.version("1").write()
        command = [*MAIN, "apply", "--artifact", path, "--out", box.dir]
        waiting = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert waiting.stderr.readline() == f"waiting up to 60 s for {box.dir}, held by another process\n"
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, out, err) == (130, "", "interrupted\n")
    assert states.what_it_says() == "0"
    assert not states.leftovers()


def test_a_lock_that_is_not_free_in_time_is_4(run, box, states):
    box.apply(states.version("0"))
    from filelock import FileLock

    with FileLock(box.dir / ".lock"):
        done = run(
            "apply", "--artifact", states.version("1").write(), "--out", box.dir, "--lock-timeout", "0.05"
        )
    assert done.exit_code == 4
    assert "error: " in done.stderr
    assert "not free after 0.05 s" in done.stderr


def commands():
    context = click.Context(cli.cli)
    return {name: cli.cli.get_command(context, name) for name in cli.cli.list_commands(context)}


@pytest.mark.skipif(not DOCS.exists(), reason="a member by itself has no shared documentation")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_operators_guide_has_every_command_and_option(name):
    guide = DOCS.read_text()
    assert f"`artifactctl {name}" in guide
    section = guide.split(f"### {name}\n")[1].split("\n### ")[0].split("\n## ")[0]
    for parameter in commands()[name].params:
        for option in parameter.opts:
            if option not in {"-v", "--verbose", "--output"}:
                assert re.search(rf"^\| `{option}[ `]", section, re.MULTILINE), option


@pytest.mark.skipif(not DOCS.exists(), reason="a member by itself has no shared documentation")
def test_the_operators_guide_has_the_exit_codes_and_the_common_options():
    guide = DOCS.read_text()
    for code in (0, 1, 2, 3, 4, 10, 130, 141):
        assert re.search(rf"^\| {code} \|", guide, re.MULTILINE), code
    for option in ("`-v`, `--verbose`", r"`--output text\|json`", "`--version`", "`CONFIG_DIR`"):
        assert option in guide
