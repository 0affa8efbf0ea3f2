import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from esb_provisioner.main import command

RESOURCES = """
resources:
  dynamodb:
    - TableName: orders
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      TimeToLiveSpecification: {AttributeName: expires, Enabled: "true"}
  s3:
    - BucketName: files
      LifecycleConfiguration:
        Rules: [{Status: Enabled, ExpirationInDays: "30"}]
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "functions.yml").write_text("functions: {}\n")
    (tmp_path / "routing.yml").write_text("routes: []\n")
    (tmp_path / "resources.yml").write_text(RESOURCES)
    return tmp_path


def run(config, env, *arguments):
    cleared = dict.fromkeys(
        ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_DYNAMODB", "ESB_CONFIG_DIR"]
    )
    return CliRunner().invoke(
        command, ["--config-dir", str(config), "--wait", "0", *arguments], env=cleared | env
    )


def test_the_first_run_creates_and_the_second_finds(config, box_env):
    first = run(config, box_env)
    assert (first.exit_code, first.stdout.splitlines()) == (
        0,
        [
            "created   table orders",
            "          items expire by expires",
            "created   bucket files",
            "          lifecycle: rule-1",
            "2 created",
        ],
    )
    again = run(config, box_env)
    assert (again.exit_code, again.stdout.splitlines()[-1]) == (0, "2 existing")


def test_the_json_summary_is_one_document_on_stdout(config, box_env):
    result = run(config, box_env, "--output", "json")
    document = json.loads(result.stdout)
    assert document["generation"] is None
    assert document["summary"]["created"] == 2
    assert [r["name"] for r in document["resources"]] == ["orders", "files"]


def test_a_wrong_field_is_rejected_with_its_name_and_the_rest_is_done(config, box_env):
    (config / "resources.yml").write_text(RESOURCES.replace('"30"', "soon"))
    result = run(config, box_env)
    assert result.exit_code == 3
    assert "created   table orders" in result.stdout
    assert (
        "resources.yml: files: LifecycleConfiguration.Rules[0].ExpirationInDays: "
        "expected an integer, found 'soon'" in result.stdout
    )


def test_an_unreadable_config_is_rejected(config, box_env):
    (config / "resources.yml").write_text("resources: [")
    result = run(config, box_env)
    assert (result.exit_code, result.stdout) == (3, "")
    assert "resources.yml" in result.stderr


def test_a_missing_config_is_rejected(tmp_path, box_env):
    result = run(tmp_path / "nowhere", box_env)
    assert result.exit_code == 3
    assert f"error: {tmp_path}/nowhere/functions.yml: " in result.stderr


def test_without_an_endpoint_it_is_a_usage_error(config):
    result = run(config, {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"})
    assert (result.exit_code, result.stdout) == (2, "")
    assert "AWS_ENDPOINT_URL_DYNAMODB" in result.stderr


def test_a_config_without_resources_needs_no_store(config):
    (config / "resources.yml").unlink()
    result = run(config, {})
    assert (result.exit_code, result.stdout) == (0, "nothing to provision\n")


def test_an_unreachable_store_fails_with_4(config, box_env):
    result = run(config, box_env | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert result.exit_code == 4
    assert "2 failed" in result.stdout


def test_the_module_is_the_same_command(config, box_env):
    result = subprocess.run(
        [sys.executable, "-m", "esb_provisioner"],
        env=box_env | {"ESB_CONFIG_DIR": str(config)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "2 created")
    assert result.stderr == ""
