"""`esb artifact generate`."""

import json
import os
import subprocess
import sys

import pytest
from artifact_contract.manifest import load_manifest
from artifact_contract.models import Mode
from click.testing import CliRunner
from esb_cli.cli import esb
from esb_cli.commands.generate import MODES

TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: app.handler
      CodeUri: src/
      Environment: {Variables: {STAGE: !Ref Stage}}
"""
QUEUE = "  Queue:\n    Type: AWS::SQS::Queue\n"


@pytest.fixture
def run(monkeypatch, tmp_path, tree, offline):
    """Run `esb artifact generate` in a project's directory."""
    tree(
        {
            "esb.toml": '[project]\nname = "shop"\n',
            "template.yaml": TEMPLATE,
            "src/app.py": "",
            "src/deep/x": "",
        }
    )
    for name in ("SOURCE_DATE_EPOCH", "CONTAINER_REGISTRY"):
        monkeypatch.delenv(name, raising=False)

    def in_project(*args, cwd=".", **environ):
        monkeypatch.chdir(tmp_path / cwd)
        return CliRunner().invoke(
            esb, ["artifact", "generate", *args], prog_name="esb", env=offline | environ
        )

    return in_project


def test_the_result_is_the_path_of_the_manifest(run, tmp_path):
    result = run()
    assert (result.exit_code, result.stdout) == (0, "artifact/artifact.yml\n"), result.stderr
    manifest = load_manifest(tmp_path / "artifact/artifact.yml").manifest
    (entry,) = manifest.artifacts
    assert (
        result.stderr
        == f"{entry.id}: artifact/template written: functions 1, routes 0, tables and buckets 0\n"
    )
    assert "artifact/template unchanged" in run().stderr


def test_it_runs_from_any_directory_of_the_project(run, tmp_path):
    assert run(cwd="src/deep").stdout == f"{tmp_path}/artifact/artifact.yml\n"


def test_options_win_over_the_project_file(run, tree, tmp_path):
    tree(
        {
            "esb.toml": '[project]\nname = "shop"\n'
            '[defaults]\nenv = "test"\nmode = "docker"\ntemplate = "no.yaml"\n'
        }
    )
    tree({"src/other.yaml": TEMPLATE.replace("src/", ".")})
    args = ("--project", "store", "--env", "prod", "--mode", "containerd", "-t", "other.yaml")
    result = run(*args, "--parameter", "Stage=a=b", "--output", "out", "--manifest", "../m.yml", cwd="src")
    assert result.exit_code == 0, result.stderr
    manifest = load_manifest(tmp_path / "m.yml").manifest
    assert (manifest.project, manifest.env, manifest.mode) == ("store", "prod", Mode.CONTAINERD)
    (entry,) = manifest.artifacts
    assert entry.source_template.path == "src/other.yaml"
    assert entry.source_template.parameters == {"Stage": "a=b"}
    assert entry.artifact_root == "src/out/other"


def test_the_registry_comes_from_the_environment(run, tmp_path):
    dockerfile = tmp_path / "artifact/template/functions/Hello/Dockerfile"
    run("--mode", "docker")
    assert dockerfile.read_text().startswith("FROM registry:5010/esb-lambda-base:")
    run("--mode", "docker", CONTAINER_REGISTRY="10.0.0.1:5000/edge")
    assert dockerfile.read_text().startswith("FROM 10.0.0.1:5000/edge/esb-lambda-base:")
    run("--mode", "process", CONTAINER_REGISTRY="10.0.0.1:5000/edge")
    assert dockerfile.read_text().startswith("FROM esb-lambda-base:")


@pytest.mark.parametrize(
    "registry", ["two words", "line\nRUN rm", "https://registry", "$X", "r/Upper", "r//x"]
)
def test_a_registry_that_is_none_is_refused(run, registry):
    result = run("--mode", "docker", CONTAINER_REGISTRY=registry)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "CONTAINER_REGISTRY: expected a registry" in result.stderr


def test_an_empty_registry_is_an_unset_one(run, tmp_path):
    run("--mode", "docker", CONTAINER_REGISTRY="")
    dockerfile = tmp_path / "artifact/template/functions/Hello/Dockerfile"
    assert dockerfile.read_text().startswith("FROM registry:5010/")


def test_a_fixed_time_is_written(run, tmp_path):
    for epoch, text in (("0", "1970-01-01T00:00:00Z"), ("86400", "1970-01-02T00:00:00Z")):
        assert run(SOURCE_DATE_EPOCH=epoch).exit_code == 0
        assert load_manifest(tmp_path / "artifact/artifact.yml").manifest.generated_at == text


def test_what_is_lost_is_a_warning_and_strictly_a_rejection_that_writes_nothing(run, tree, tmp_path):
    tree({"template.yaml": TEMPLATE + QUEUE})
    result = run("--strict")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.startswith("error: template.yaml:13: Queue (AWS::SQS::Queue): ")
    assert not (tmp_path / "artifact").exists()
    result = run()
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: template.yaml:13: Queue (AWS::SQS::Queue): ")


def test_an_unknown_key_of_the_project_file_is_a_warning(run, tree):
    tree({"esb.toml": '[project]\nname = "shop"\ncolour = "red"\n'})
    assert "warning: esb.toml: project.colour: unknown, has no effect\n" in run().stderr


def test_requirements_are_installed_and_need_no_index_the_second_time(run, tree, make_wheel, tmp_path):
    wheels = make_wheel("tiny")
    tree({"src/requirements.txt": "tiny==1.0\n"})
    assert run().exit_code == 0
    installed = tmp_path / "artifact/template/functions/Hello/layers/python-requirements/tiny.py"
    assert installed.read_text() == "VALUE = 1\n"
    for wheel in wheels.iterdir():
        wheel.unlink()
    installed.unlink()
    assert run().exit_code == 0
    assert installed.exists()


def test_a_requirement_without_a_wheel_rejects_and_writes_nothing(run, tree, make_wheel, tmp_path):
    make_wheel("native", tag="cp312-cp312-macosx_11_0_arm64")
    tree({"src/requirements.txt": "native\n"})
    result = run()
    assert result.exit_code == 3
    assert "expected wheels for Python 3.12 on x86_64" in result.stderr
    assert not (tmp_path / "artifact").exists()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--mode", "lambda"], 2, "'lambda' is not one of 'docker', 'containerd', 'process'"),
        (["--parameter", "Stage"], 2, "--parameter: expected KEY=VALUE, found 'Stage'"),
        (["--parameter", "=x"], 2, "--parameter: expected KEY=VALUE, found '=x'"),
        (
            ["--parameter", "Stage=a", "--parameter", "Stage=b"],
            2,
            "Stage is given twice with different values",
        ),
        (["--parameter", "Stagee=x"], 3, "did you mean Stage?"),
        (["--env", "a b"], 2, "--env: expected letters"),
        (["--project", "a/b"], 2, "--project: expected letters"),
        (["-t", "nowhere.yaml"], 3, "nowhere.yaml: expected a template"),
        (["-t", "template.yaml", "-t", "src/../template.yaml"], 2, "--template: given twice: template.yaml"),
        (["--output", ""], 2, "expected a path, found nothing"),
        (["-t", ""], 2, "expected a path, found nothing"),
        (["--env", ""], 2, "--env: expected letters"),
        (["--images", "images"], 2, "--images: has no effect without --build-images"),
        (["--build-images", "--mode", "docker"], 2, "--build-images: expected mode process"),
        (["--output", "src/app.py"], 2, "is a file"),
        (["--output", "src/app.py/x"], 4, "src/app.py/x: Not a directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_said_without_a_traceback(run, tmp_path, args, code, said):
    result = run(*args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "artifact").exists()


def test_a_project_without_a_template_says_so(run, tmp_path):
    (tmp_path / "template.yaml").unlink()
    result = run()
    assert result.exit_code == 2
    assert "no template.yaml in" in result.stderr


def test_what_is_in_the_way_is_named(run, tree):
    tree({"artifact/template/thesis.txt": ""})
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert "artifact/template: exists and is no artifact" in result.stderr


def test_images_are_built_when_asked_for(run, tmp_path):
    result = run("--build-images", "--images", "images")
    assert result.exit_code == 0, result.stderr
    index = json.loads((tmp_path / "images/index.json").read_text())
    names = [one["annotations"]["org.opencontainers.image.ref.name"] for one in index["manifests"]]
    assert any(name.startswith("shop-dev-hello:") for name in names)
    assert run("--build-images").exit_code == 0
    assert (tmp_path / ".esb/box/images/index.json").exists()


def test_user_locale_zone_and_umask_make_no_difference(tree, make_wheel, offline, tmp_path):
    make_wheel(
        "tiny",
        files={"tiny/ünï.py": "", "tiny/__init__.py": ""},
        entry_points="[console_scripts]\nt = tiny:f\n",
    )
    files = {"esb.toml": '[project]\nname = "shop"\n', "template.yaml": TEMPLATE}
    code = {"src/app.py": "x = 'ü'", "src/straße.txt": "", "src/requirements.txt": "tiny\n"}
    outcomes = []
    for place, umask, environ in (
        ("one", 0o022, {"LC_ALL": "C.UTF-8", "TZ": "UTC", "USER": "a", "PYTHONHASHSEED": "1"}),
        (
            "deep/two",
            0o077,
            {"LC_ALL": "C", "TZ": "Asia/Tokyo", "USER": "b", "HOME": "/", "PYTHONHASHSEED": "2"},
        ),
    ):
        root = tree(files | code, place)
        subprocess.run(
            [sys.executable, "-c", "from esb_cli.cli import main; main()", "artifact", "generate"],
            cwd=root, env=offline | environ | {"SOURCE_DATE_EPOCH": "0"}, umask=umask, check=True,
        )  # fmt: skip
        outcomes.append(
            {
                path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else b""
                for path in (root / "artifact").rglob("*")
            }
        )
    assert outcomes[0] == outcomes[1]
    assert sum(name.endswith(("straße.txt", "ünï.py")) for name in outcomes[0]) == 2


def test_the_modes_are_those_of_the_contract():
    assert [mode.value for mode in Mode] == MODES


def test_a_directory_that_cannot_be_written_is_the_worlds_fault(run, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o555)
    try:
        assert run().exit_code == 4
    finally:
        tmp_path.chmod(0o755)
