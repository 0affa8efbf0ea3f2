import json
import subprocess
import sys

import pytest
from attrs import evolve
from click.testing import CliRunner
from esb_node.box import UpRequest, plan_box
from esb_node.box_state import write_state
from esb_node.cli import command
from esb_node.credentials import Credentials, make_credentials, read_credentials
from esb_node.errors import NodeError
from esb_node.parts import GATEWAY, Plan

FILE = """
access_keys:
- {name: functions, access_key_id: ESBFUNCTIONS, secret_access_key: f-secret}
- {name: operator, access_key_id: ESBOPERATOR, secret_access_key: "o'secret"}
api_keys:
- {name: default, value: key-secret}
admin_keys:
- {name: operator, value: admin-secret}
jwt: {secret: jwt-secret}
users: []
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "box" / "gateway").mkdir(parents=True)
    return plan_box(UpRequest(tmp_path / "box"), {"PATH": "/bin"})


def with_gateway(plan, code):
    """The plan with a script in the gateway's place."""
    services = tuple(
        evolve(spec, argv=(sys.executable, "-c", code)) if spec.name == GATEWAY else spec
        for spec in plan.services
    )
    return Plan(plan.state, services, plan.job)


def test_what_was_made_is_returned(plan):
    code = "import os, sys; print(sys.argv[1], os.environ['ESB_GATEWAY_CREDENTIALS'])"
    assert make_credentials(with_gateway(plan, code)) == f"credentials {plan.state.credentials_file}\n"


def test_a_file_the_gateway_refuses_is_told_in_its_words(plan):
    code = "import sys; sys.exit('credentials.yml: mode: expected 0600')"
    with pytest.raises(NodeError, match=r"credentials\.yml: mode: expected 0600"):
        make_credentials(with_gateway(plan, code))


def test_the_operators_pair_and_the_first_keys_are_read(tmp_path):
    (tmp_path / "c.yml").write_text(FILE)
    assert read_credentials(tmp_path / "c.yml") == Credentials(
        "ESBOPERATOR", "o'secret", "key-secret", "admin-secret"
    )
    assert "secret" not in repr(read_credentials(tmp_path / "c.yml")).replace("secret_access_key", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected access_keys"),
        ("access_keys: []\napi_keys: []", "expected access_keys"),
        (FILE.replace("admin_keys", "other"), "expected access_keys, api_keys and admin_keys"),
        ("a: b: c", "no YAML"),
    ],
)
def test_a_file_without_them_is_named(tmp_path, text, told):
    (tmp_path / "c.yml").write_text(text)
    with pytest.raises(NodeError, match=rf"c\.yml: .*{told}"):
        read_credentials(tmp_path / "c.yml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(NodeError, match=r"c\.yml: not there"):
        read_credentials(tmp_path / "c.yml")


def test_the_command_tells_the_file_and_no_secret(plan, tmp_path):
    write_state(plan.state)
    (tmp_path / "box" / "gateway" / "credentials.yml").write_text(FILE)
    shown = CliRunner().invoke(command, ["credentials", "--state", str(tmp_path / "box")])
    assert shown.exit_code == 0
    assert plan.state.credentials_file in shown.stdout
    assert f"--state {tmp_path / 'box'} --export" in shown.stdout
    assert "-secret" not in shown.stdout
    assert "o'secret" not in shown.stdout


def test_exported_variables_are_as_a_shell_reads_them(plan, tmp_path):
    write_state(plan.state)
    (tmp_path / "box" / "gateway" / "credentials.yml").write_text(FILE)
    shown = CliRunner().invoke(command, ["credentials", "--export", "--state", str(tmp_path / "box")])
    script = shown.stdout + 'exec "$0" -c "import json, os; print(json.dumps(dict(os.environ)))"'
    done = subprocess.run(["bash", "-c", script, sys.executable], capture_output=True, check=True)
    env = json.loads(done.stdout)
    assert env["AWS_ACCESS_KEY_ID"] == "ESBOPERATOR"
    assert env["AWS_SECRET_ACCESS_KEY"] == "o'secret"
    assert env["ESB_API_KEY"] == "key-secret"
    assert env["ESB_ADMIN_KEY"] == "admin-secret"
    assert env["AWS_ENDPOINT_URL_LAMBDA"] == plan.state.urls[GATEWAY]


def test_of_a_box_that_never_ran_the_next_step_is_told(tmp_path):
    shown = CliRunner().invoke(command, ["credentials", "--state", str(tmp_path / "box")])
    assert shown.exit_code == 4
    assert "start it with: esb-node up --state" in shown.stderr
