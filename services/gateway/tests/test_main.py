import os
import socket
import stat
import subprocess
import sys


def run_main(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ESB_")}
    return subprocess.run(
        [sys.executable, "-m", "esb_gateway", *arguments],
        env={**environ, **settings},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_wrong_settings_end_with_code_2_and_say_all_that_is_wrong():
    done = run_main(ESB_GATEWAY_PORT="http")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "esb-gateway: ESB_GATEWAY_PORT: expected a port from 1 to 65535, found 'http'",
        "esb-gateway: ESB_CONFIG_DIR: expected a value, found nothing",
        "esb-gateway: ESB_AGENT_ADDRESS: expected a value, found nothing",
        "esb-gateway: ESB_GATEWAY_STATE_DIR: expected a value, found nothing",
    ]


def test_a_port_in_use_ends_with_code_4_and_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run_main(
            ESB_CONFIG_DIR=str(tmp_path),
            ESB_AGENT_ADDRESS="unix:/x",
            ESB_GATEWAY_STATE_DIR=str(tmp_path),
            ESB_GATEWAY_PORT=str(port),
        )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == f"esb-gateway: 127.0.0.1:{port}: Address already in use\n"


def test_a_host_that_is_no_address_ends_with_code_4(tmp_path):
    done = run_main(
        ESB_CONFIG_DIR=str(tmp_path),
        ESB_AGENT_ADDRESS="unix:/x",
        ESB_GATEWAY_STATE_DIR=str(tmp_path),
        ESB_GATEWAY_HOST="no.such.host.invalid",
    )
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_database_of_events_ends_with_code_4_and_is_left_as_it_is(tmp_path):
    database = tmp_path / "events.db"
    database.write_bytes(b"this is no database" * 100)
    done = run_main(
        ESB_CONFIG_DIR=str(tmp_path),
        ESB_AGENT_ADDRESS="unix:/x",
        ESB_GATEWAY_STATE_DIR=str(tmp_path),
        ESB_GATEWAY_PORT="8089",
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith(
        f"esb-gateway: {database}: can't be read: file is not a database; put a copy"
    )
    assert database.read_bytes() == b"this is no database" * 100


def test_the_credentials_command_makes_what_is_missing_and_prints_it_once(tmp_path):
    state = tmp_path / "state"
    first = run_main("credentials", ESB_GATEWAY_STATE_DIR=str(state))
    file = state / "credentials.yml"
    assert (first.returncode, first.stderr) == (0, f"esb-gateway: made in {file}; shown this once\n")
    assert first.stdout.startswith("access_keys:\n")
    assert file.read_text().endswith(first.stdout)
    assert (stat.S_IMODE(state.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (0o700, 0o600)
    again = run_main("credentials", ESB_GATEWAY_STATE_DIR=str(state))
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == f"esb-gateway: nothing was missing in {file}\n"


def test_a_credentials_file_that_others_may_read_is_refused(tmp_path):
    file = tmp_path / "credentials.yml"
    file.write_text("")
    file.chmod(0o640)
    for command in (("credentials",), ()):
        done = run_main(
            *command,
            ESB_CONFIG_DIR=str(tmp_path),
            ESB_AGENT_ADDRESS="unix:/x",
            ESB_GATEWAY_STATE_DIR=str(tmp_path),
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"esb-gateway: {file}: mode: expected 0600, found 0640, so that others may read it"
            f" (chmod 600 {file})\n"
        )


def test_a_command_that_does_not_exist_is_wrong_usage(tmp_path):
    done = run_main("dance")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("esb-gateway: usage:")
