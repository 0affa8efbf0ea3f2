"""The files of one artifact root."""

import pytest
from artifact_contract.codec import read_yaml
from artifact_contract.models import Mode
from artifact_contract.runtime_config import structure_functions
from esb_cli.errors import TemplateError
from esb_cli.render import Target, render
from esb_cli.spec_model import DeploySpec, RouteSpec

PROCESS = Target("shop", "dev", Mode.PROCESS, "registry:5010")


def image_of(rendered, name="hello"):
    data = rendered.files["runtime-config/functions.yml"].read()
    return structure_functions(read_yaml(data, "functions.yml")).value.functions[name].image


def test_an_artifact_has_the_layout_of_the_contract(function, installs):
    rendered = render(DeploySpec(functions=(function(),)), PROCESS, installs)
    assert list(rendered.files) == [
        "functions/hello/Dockerfile",
        "functions/hello/src/app.py",
        "runtime-base/runtime-hooks/python/docker/Dockerfile",
        "runtime-base/runtime-hooks/python/sitecustomize/site-packages/sitecustomize.py",
        "runtime-base/runtime-hooks/python/trace-bridge/layer/trace_bridge.py",
        "runtime-base/runtime-templates/python/templates/dockerfile.tmpl",
        "runtime-config/functions.yml",
        "runtime-config/routing.yml",
    ]


@pytest.mark.parametrize(
    ("mode", "prefix"),
    [(Mode.PROCESS, ""), (Mode.DOCKER, "registry:5010/"), (Mode.CONTAINERD, "registry:5010/")],
)
def test_every_mode_renders_and_differs_in_the_registry_only(function, installs, mode, prefix):
    spec = DeploySpec(functions=(function(),))
    rendered = render(spec, Target("shop", "dev", mode, "registry:5010"), installs)
    plain = image_of(render(spec, PROCESS, installs))
    assert plain.startswith("shop-dev-hello:")
    assert image_of(rendered) == prefix + plain
    assert (
        rendered.files["functions/hello/Dockerfile"]
        .read()
        .startswith(f"FROM {prefix}esb-lambda-base:".encode())
    )


def test_the_problems_of_all_functions_come_together(function, installs):
    bad = {"runtime": "cobol74"}
    spec = DeploySpec(functions=(function(**bad), function(name="other", logical_id="Other", **bad)))
    with pytest.raises(TemplateError) as caught:
        render(spec, PROCESS, installs)
    assert [problem.field for problem in caught.value.problems] == ["Hello.Runtime", "Other.Runtime"]


def test_a_name_for_two_functions_is_refused(function, installs):
    spec = DeploySpec(functions=(function(), function(logical_id="Other")))
    with pytest.raises(TemplateError, match="a name that Hello doesn't have"):
        render(spec, PROCESS, installs)


def test_a_route_without_a_path_is_refused(function, installs):
    with pytest.raises(TemplateError, match="a path for each route"):
        render(DeploySpec(functions=(function(routes=(RouteSpec("", "GET"),)),)), PROCESS, installs)
