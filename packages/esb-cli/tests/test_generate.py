"""Templates become artifact roots and one manifest: the whole way, with real templates."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from artifact_contract.loader import load_runtime_config
from artifact_contract.manifest import load_manifest
from artifact_contract.models import Mode
from artifact_contract.verify import verify_entry
from attrs import evolve
from esb_cli.errors import StrictError, TemplateError, UsageError
from esb_cli.generate import GenerateRequest, generate
from esb_cli.render import Target

HEAD = 'AWSTemplateFormatVersion: "2010-09-09"\nTransform: AWS::Serverless-2016-10-31\n'
HELLO = (
    HEAD
    + """\
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: app.handler
      CodeUri: src/
      Events:
        Get: {Type: Api, Properties: {Path: /hello, Method: get}}
"""
)
STAGED = (
    HEAD
    + """\
Parameters:
  Stage: {Type: String, Default: dev}
  Token: {Type: String, NoEcho: true}
Resources:
  Store:
    Type: AWS::Serverless::SimpleTable
  Staged:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: app.handler
      InlineCode: "def handler(event, context): ..."
      Environment: {Variables: {STAGE: !Ref Stage, TOKEN: !Ref Token}}
"""
)
QUEUE = "  Queue:\n    Type: AWS::SQS::Queue\n"


@pytest.fixture
def project(tree):
    return tree(
        {"template.yaml": HELLO, "src/app.py": "code", "esb.toml": '[project]\nname = "shop"\n'}, "project"
    )


def request(root, **changes):
    output = changes.pop("output", root / "artifact")
    said = {
        "project_root": root,
        "target": Target("shop", "dev", Mode.PROCESS, "registry:5010"),
        "templates": (root / "template.yaml",),
        "parameters": {},
        "output": output,
        "manifest": output / "artifact.yml",
        "strict": False,
        "now": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "keep_time": True,
        "version": "0.1.0",
    }
    return GenerateRequest(**(said | changes))


def files(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_what_is_generated_passes_every_check_of_the_contract_and_loads(project, installs):
    result = generate(request(project), installs)
    loaded = load_manifest(result.manifest)
    assert loaded.warnings == ()
    (entry,) = loaded.manifest.artifacts
    assert verify_entry(loaded, entry) == []
    config = load_runtime_config(loaded.root_of(entry) / entry.runtime_config_dir)
    assert config.warnings == ()
    assert list(config.config.functions.functions) == ["Hello"]
    assert [route.path for route in config.config.routing] == ["/hello"]


def test_the_manifest_says_what_it_was_made_from_and_by(project, installs):
    loaded = load_manifest(generate(request(project), installs).manifest)
    manifest = loaded.manifest
    assert (manifest.project, manifest.env, manifest.mode) == ("shop", "dev", Mode.PROCESS)
    assert manifest.generated_at == "2026-01-02T03:04:05Z"
    assert (manifest.generator.name, manifest.generator.version) == ("esb", "0.1.0")
    (entry,) = manifest.artifacts
    assert entry.source_template.path == "template.yaml"
    assert len(entry.source_template.sha256) == 64
    assert entry.artifact_root == "template"
    assert entry.content_digest
    assert entry.runtime_meta.runtime_hooks.python_sitecustomize_digest
    assert entry.runtime_meta.template_renderer.template_digest


def test_an_artifact_still_verifies_when_it_was_moved_and_the_project_is_gone(project, installs, tmp_path):
    generate(request(project), installs)
    shutil.move(project / "artifact", tmp_path / "moved")
    shutil.rmtree(project)
    loaded = load_manifest(tmp_path / "moved/artifact.yml")
    assert verify_entry(loaded, loaded.manifest.artifacts[0]) == []


def test_the_same_project_elsewhere_gives_the_same_bytes(project, installs, tmp_path):
    generate(request(project), installs)
    moved = Path(
        shutil.copytree(project, tmp_path / "other/place", ignore=shutil.ignore_patterns("artifact"))
    )
    os.utime(moved / "src/app.py", (0, 0))
    before = os.umask(0o077)
    try:
        generate(request(moved), installs)
    finally:
        os.umask(before)
    assert files(moved / "artifact") == files(project / "artifact")
    modes = [
        {path.relative_to(root).as_posix(): path.stat().st_mode for path in (root / "template").rglob("*")}
        for root in (project / "artifact", moved / "artifact")
    ]
    assert modes[0] == modes[1]


def test_a_second_run_changes_nothing(project, installs):
    generate(request(project), installs)
    before = {path: path.stat().st_mtime_ns for path in (project / "artifact").rglob("*")}
    result = generate(request(project, now=datetime(2027, 1, 1, tzinfo=UTC)), installs)
    assert result.entries[0].unchanged
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_whole_project_as_code_swallows_neither_artifact_nor_project_files(tree, installs):
    root = tree(
        {"template.yaml": HELLO.replace("src/", "."), "app.py": "", "esb.toml": "", ".esb/cache/x": ""},
        "project",
    )
    for output in (root / "artifact", root):
        for _ in range(2):
            generate(request(root, output=output), installs)
            staged = [name for name in files(output / "template") if "/src/" in name]
            assert staged == ["functions/Hello/src/app.py"]
        shutil.rmtree(root / "artifact", ignore_errors=True)


def test_parameters_are_recorded_and_secrets_are_not(tree, installs):
    root = tree({"template.yaml": STAGED}, "project")
    result = generate(request(root, parameters={"Stage": "010", "Token": "t0p"}), installs)
    (entry,) = load_manifest(result.manifest).manifest.artifacts
    assert entry.source_template.parameters == {"Stage": "010"}
    assert entry.required_secret_env == ("Token",)
    assert not any(b"t0p" in data for data in files(root / "artifact").values())
    functions = load_runtime_config(root / "artifact/template/runtime-config").config.functions.functions
    assert functions["Staged"].environment == {"STAGE": "010", "TOKEN": "${Token}"}


def test_several_templates_get_the_parameters_they_declare(project, tree, installs):
    tree({"other.yaml": STAGED}, "project")
    templates = (project / "template.yaml", project / "other.yaml")
    result = generate(request(project, templates=templates, parameters={"Stage": "x"}), installs)
    first, second = load_manifest(result.manifest).manifest.artifacts
    assert (first.source_template.parameters, second.source_template.parameters) == ({}, {"Stage": "x"})
    assert (first.artifact_root, second.artifact_root) == ("template", "other")
    with pytest.raises(UsageError, match="none of the templates has Stagee"):
        generate(request(project, templates=templates, parameters={"Stagee": "x"}), installs)


def test_templates_of_one_name_get_roots_of_their_own_that_stay(tree, installs):
    root = tree({f"{name}/template.yaml": HELLO.replace("Hello", name) for name in ("a", "b")}, "project")
    tree({f"{name}/src/app.py": "" for name in ("a", "b")}, "project")
    asked = request(root, templates=(root / "a/template.yaml", root / "b/template.yaml"))
    first = [entry.root for entry in generate(asked, installs).entries]
    assert len(set(first)) == 2
    assert all(path.name.startswith("template-") for path in first)
    tree({"a/template.yaml": HELLO.replace("Hello", "Changed")}, "project")
    assert [entry.root for entry in generate(asked, installs).entries] == first


def test_one_template_given_twice_is_refused(project, installs):
    twice = (project / "template.yaml", project / "src/../template.yaml")
    with pytest.raises(UsageError, match=r"given twice: template\.yaml"):
        generate(request(project, templates=twice), installs)


def test_what_two_templates_define_is_said_with_both_places(project, tree, installs):
    tree({"second.yaml": HELLO}, "project")
    result = generate(
        request(project, templates=(project / "template.yaml", project / "second.yaml")), installs
    )
    assert result.warnings == (
        "second.yaml:4: function Hello is defined at template.yaml:4 as well: this one wins when applied",
        "second.yaml:4 (Hello): route GET /hello is defined at template.yaml:4 (Hello) as well: "
        "this one wins when applied",
    )


def test_what_a_box_does_not_have_is_a_warning_and_strictly_an_error(project, tree, installs):
    tree({"template.yaml": HELLO + QUEUE}, "project")
    result = generate(request(project), installs)
    (warning,) = result.warnings
    assert warning.startswith("template.yaml:12: Queue (AWS::SQS::Queue): ")
    before = files(project / "artifact")
    tree({"src/app.py": "changed"}, "project")
    with pytest.raises(StrictError) as caught:
        generate(request(project, strict=True), installs)
    assert str(caught.value) == warning
    assert files(project / "artifact") == before


def test_a_container_image_is_a_function_where_there_is_an_engine(project, tree, installs):
    image = "  Image:\n    Type: AWS::Serverless::Function\n"
    image += "    Properties: {PackageType: Image, ImageUri: 'host/greeter:1'}\n"
    tree({"template.yaml": HELLO + image}, "project")
    made = request(project)
    result = generate(evolve(made, target=evolve(made.target, mode=Mode.DOCKER)), installs)
    assert (result.warnings, [entry.functions for entry in result.entries]) == ((), [2])
    result = generate(evolve(made, target=evolve(made.target, mode=Mode.PROCESS)), installs)
    (warning,) = result.warnings
    assert "Image (PackageType: Image): the function is left out" in warning
    assert [entry.functions for entry in result.entries] == [1]
    with pytest.raises(StrictError):
        generate(request(project, strict=True), installs)


@pytest.mark.parametrize(
    ("mode", "sandbox", "told"),
    [
        (Mode.CONTAINERD, "gvisor", False),
        (Mode.DOCKER, "runc", False),
        (Mode.DOCKER, "gvisor", True),
        (Mode.PROCESS, "runc", True),
    ],
)
def test_a_sandbox_the_mode_has_not_is_a_warning_and_stays_asked_for(
    project, tree, installs, mode, sandbox, told
):
    tree({"template.yaml": HELLO + f"    Metadata: {{esb: {{Sandbox: {sandbox}}}}}\n"}, "project")
    made = request(project)
    result = generate(evolve(made, target=evolve(made.target, mode=mode)), installs)
    expected = f"Hello (Sandbox: {sandbox}): an agent of mode {mode.value} has no choice of sandboxes"
    assert [expected in warning for warning in result.warnings] == [True] * told
    (config,) = (project / "artifact").rglob("functions.yml")
    assert f"sandbox: {sandbox}\n" in config.read_text()


def test_the_problems_of_all_templates_come_together_and_nothing_is_written(project, tree, installs):
    tree({"template.yaml": HELLO.replace("src/", "nowhere/"), "other.yaml": "Resources: ["}, "project")
    templates = (project / "template.yaml", project / "other.yaml", project / "missing.yaml")
    with pytest.raises(TemplateError) as caught:
        generate(request(project, templates=templates), installs)
    named = {problem.place.file for problem in caught.value.problems}
    assert named == {"template.yaml", "other.yaml", "missing.yaml"}
    assert not (project / "artifact").exists()


def test_a_manifest_elsewhere_leads_to_its_roots(project, installs, tmp_path):
    manifest = tmp_path / "deploy/here.yml"
    generate(request(project, manifest=manifest), installs)
    loaded = load_manifest(manifest)
    (entry,) = loaded.manifest.artifacts
    assert entry.artifact_root == "../project/artifact/template"
    assert verify_entry(loaded, entry) == []


def test_a_template_outside_the_project_is_named_from_it(project, tree, installs):
    tree({"shared.yaml": STAGED}, "elsewhere")
    outside = project.parent / "elsewhere/shared.yaml"
    result = generate(request(project, templates=(outside,)), installs)
    assert (
        load_manifest(result.manifest).manifest.artifacts[0].source_template.path
        == "../elsewhere/shared.yaml"
    )


def test_the_result_counts_what_was_generated(project, tree, installs):
    tree({"other.yaml": STAGED}, "project")
    result = generate(
        request(project, templates=(project / "template.yaml", project / "other.yaml")), installs
    )
    assert [(one.functions, one.routes, one.resources) for one in result.entries] == [(1, 1, 0), (1, 0, 1)]


def test_every_mode_gives_a_valid_artifact(project, installs):
    for mode in Mode:
        asked = request(
            project, target=evolve(request(project).target, mode=mode), output=project / mode.value
        )
        loaded = load_manifest(generate(asked, installs).manifest)
        assert loaded.manifest.mode is mode
        assert verify_entry(loaded, loaded.manifest.artifacts[0]) == []


def test_the_route_for_all_the_rest_loads_without_a_warning(project, tree, installs):
    event = "Rest: {Type: HttpApi}"
    tree(
        {"template.yaml": HELLO.replace("Get: {Type: Api, Properties: {Path: /hello, Method: get}}", event)},
        "project",
    )
    generate(request(project), installs)
    config = load_runtime_config(project / "artifact/template/runtime-config")
    assert [(route.method, route.path) for route in config.config.routing] == [("ANY", "$default")]
    assert config.warnings == ()


def test_a_secret_that_no_environment_variable_can_have_is_refused(tree, installs):
    root = tree({"template.yaml": STAGED.replace("Token", "1Token")}, "project")
    with pytest.raises(
        TemplateError, match=r"template\.yaml: Parameters\.1Token: expected a name of letters"
    ):
        generate(request(root), installs)


def test_a_place_that_no_manifest_can_name_is_refused_and_left_alone(project, installs):
    output = project / "out\\put"
    with pytest.raises(UsageError, match="--output, --manifest: expected a path with /"):
        generate(request(project, output=output, manifest=project / "artifact.yml"), installs)
    assert list(output.iterdir()) == []
