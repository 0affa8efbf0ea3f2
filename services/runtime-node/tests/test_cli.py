import json
import socket
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from esb_node import lock
from esb_node import parts as parts_module
from esb_node.box import UpRequest, plan_box
from esb_node.box_state import ProvisionerState, ServiceState, write_state
from esb_node.cli import command, main
from esb_node.files import make_private
from esb_node.logs import open_log
from esb_node.parts import LOG_NAMES


@pytest.fixture
def state(tmp_path):
    make_private(tmp_path / "box")
    return tmp_path / "box"


@pytest.fixture
def ready(state):
    """A state file of a box that says it is ready."""
    from attrs import evolve

    services = (
        ServiceState("agent", "ready", 42, "unix:/x", "/x.log"),
        ServiceState(
            "gateway", "restarting", None, "http://127.0.0.1:1", "/g.log", 3, "ended with signal SIGKILL"
        ),
    )
    run = ProvisionerState("done", "000001", {"created": 2})
    made = evolve(
        plan_box(UpRequest(state), {}).state,
        state="degraded",
        supervisor_pid=41,
        started_at="2020-01-01T00:00:00+00:00",
        services=services,
        provisioner=run,
    )
    write_state(made)
    return made


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_status_shows_what_runs_where(state, ready):
    with lock.hold(state):
        result = run("status", "--state", state)
    assert result.exit_code == 0
    assert "is degraded, up for " in result.stdout
    assert ready.urls["gateway"] in result.stdout
    assert "restarting" in result.stdout
    assert "provisioned: generation 000001, 2 created" in result.stdout
    assert "gateway ended with signal SIGKILL, see /g.log" in result.stdout


def test_status_as_json_is_the_state_file(state, ready):
    with lock.hold(state):
        result = run("status", "--state", state, "--output", "json")
    document = json.loads(result.stdout)
    assert document["services"][0]["pid"] == 42
    assert document["provisioner"]["counts"] == {"created": 2}


def test_a_state_file_of_a_box_that_is_gone_is_not_believed(state, ready):
    document = json.loads(run("status", "--state", state, "--output", "json").stdout)
    assert document["state"] == "stopped"
    assert document["supervisor_pid"] is None
    assert [service["pid"] for service in document["services"]] == [None, None]
    assert run("status", "--state", state).stdout == (
        f"box {state} is down; start it with: esb-node up --state {state}\n"
    )


def test_status_and_down_of_what_never_was_are_fine(tmp_path):
    nowhere = tmp_path / "nowhere"
    assert run("status", "--state", nowhere).stdout == (
        f"no box has run in {nowhere}; start it with: esb-node up --state {nowhere}\n"
    )
    assert json.loads(run("status", "--state", nowhere, "--output", "json").stdout) == {"state": "stopped"}
    result = run("down", "--state", nowhere)
    assert (result.exit_code, result.stdout) == (0, f"box {nowhere} is down already\n")
    assert not nowhere.exists()


def test_logs_of_one_service_are_plain_and_of_all_are_named(state):
    for name in ("agent", "gateway"):
        with open_log(state / "logs" / f"{name}.log") as log:
            log.write(f"{name} one\n{name} two\n".encode())
    assert run("logs", "--state", state, "--lines", 1, "agent").stdout == "agent two\n"
    assert run("logs", "--state", state, "--lines", 1).stdout.split("\n") == [
        "agent        agent two",
        "gateway      gateway two",
        "",
    ]


def test_following_ends_when_the_box_is_down(state):
    with open_log(state / "logs" / "agent.log") as log:
        log.write(b"bye\n")
    assert run("logs", "-f", "--state", state, "agent").stdout == "bye\n"


def test_logs_of_a_box_that_never_was_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments in (("logs",), ("logs", "-f", "gateway")):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == (
            f"nothing is logged in {tmp_path}/.esb/box; start the box with: esb-node up\n"
        )


def test_logs_of_a_function_are_its_lines_with_time_and_request(state):
    entries = [
        {"time": "t1", "request_id": "", "line": "loading"},
        {"time": "t2", "request_id": "r" * 36, "line": "grüße"},
    ]
    path = state / "agent" / "logs" / "Hello.log"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    shown = f"t1  -{' ' * 35}  loading\nt2  {'r' * 36}  grüße\n"
    assert run("logs", "--state", state, "--function", "Hello").stdout == shown
    assert run("logs", "--state", state, "--function", "Hello", "-f").stdout == shown
    other = run("logs", "--state", state, "--function", "Helo")
    assert (other.exit_code, other.stdout) == (0, "")
    assert other.stderr == "Helo has printed nothing yet; there is output of: Hello\n"


@pytest.mark.parametrize(
    "arguments", [("--function", "../x"), ("--function", "a", "gateway"), ("--function", "")]
)
def test_a_function_is_a_name_and_stands_alone(state, arguments):
    assert run("logs", "--state", state, *arguments).exit_code == 2


def test_an_interrupted_wait_is_no_bug(state, monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("esb_node.cli.stop_box", interrupt)
    result = run("down", "--state", state)
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_a_box_that_can_not_be_looked_at_is_not_called_down(state, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path / lock.FILE))

    monkeypatch.setattr(lock, "is_held", refuse)
    for name in ("status", "down"):
        result = run(name, "--state", state)
        assert (result.exit_code, result.stdout) == (4, "")
        assert result.stderr == f"error: {state}/{lock.FILE}: Permission denied\n"


def test_logs_of_a_service_there_is_none_of_is_a_usage_error(state):
    assert run("logs", "--state", state, "database").exit_code == 2


def test_a_port_in_use_ends_up_before_anything_starts(state, monkeypatch, capsys):
    monkeypatch.setattr(parts_module, "_MODULES", {})
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(
            "sys.argv", ["esb-node", "up", "--state", str(state), "--gateway-port", str(port)]
        )
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 4
    assert f"error: port {port} (--gateway-port) is in use" in capsys.readouterr().err
    assert not (state / "box.json").exists()


def test_up_without_the_embedded_parts_says_how_to_install_them(state, monkeypatch, capsys):
    monkeypatch.setattr(parts_module, "_MODULES", {"agent": {"no_such_module_x": "agent"}})
    monkeypatch.setattr("sys.argv", ["esb-node", "up", "--state", str(state)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 4
    assert "pip install 'esb-runtime-node[embedded]'" in capsys.readouterr().err


def test_a_state_that_can_not_be_written_is_an_error_not_a_bug(monkeypatch, capsys):
    monkeypatch.setattr(parts_module, "_MODULES", {})
    monkeypatch.setattr("sys.argv", ["esb-node", "up", "--state", "/proc/nothing/box"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 4
    assert "error: /proc/nothing" in capsys.readouterr().err


def test_every_command_and_option_is_in_the_docs():
    docs = (Path(__file__).parents[3] / "docs" / "runtime-node.md").read_text("utf-8")
    for name, sub in command.commands.items():
        assert f"### `esb-node {name}`" in docs
        for parameter in sub.params:
            for option in parameter.opts if isinstance(parameter, click.Option) else ():
                assert f"`{option}" in docs or f"/`{option}`" in docs, f"{name} {option}"
    for service in LOG_NAMES:
        assert f"`{service}`" in docs
