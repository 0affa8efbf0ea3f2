from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from artifact_contract.ids import EntryId
from artifact_contract.loader import load_runtime_config
from artifactctl.images.bases import empty_base
from artifactctl.images.plan import EntryFiles, ImagePlan, merge_plans, plan_entry

BASE_REF = "esb-lambda-base:python3.12-0123456789ab"
Artifact = Any


def planned(entry: Any, *, imported: frozenset[str] = frozenset()) -> list[ImagePlan]:
    config_dir = entry.root / "runtime-config"
    functions = load_runtime_config(config_dir).config.functions
    return plan_entry(
        EntryFiles(EntryId("svc-00000000"), entry.root, config_dir, functions, imported), empty_base
    )


def test_the_base_comes_once_and_before_the_functions_that_need_it(artifact: Artifact) -> None:
    entry = artifact.entry().base().function("b").function("a")
    base, *functions = planned(entry)
    assert (base.ref, base.functions) == (BASE_REF, ())
    assert [plan.functions for plan in functions] == [("b",), ("a",)]
    assert [layer.key for layer in functions[0].recipe.layers][:1] == [
        layer.key for layer in base.recipe.layers
    ]
    assert functions[0].recipe.config.env == {"PYTHONPATH": "/opt/esb/python"}


def test_the_python_version_of_the_base_is_the_one_in_the_tag(artifact: Artifact) -> None:
    entry = artifact.entry().base()
    entry.function("a", "FROM registry:5010/esb-lambda-base:python3.13-x\n")
    assert planned(entry)[0].recipe.base.name == "public.ecr.aws/lambda/python:3.13"


def test_a_missing_base_fails_the_base_and_the_functions_on_it_only(artifact: Artifact) -> None:
    entry = artifact.entry().function("a").function("b", "FROM scratch\n")
    base, a, b = planned(entry)
    assert "generate the artifact again" in str(base.error)
    assert "runtime-base/runtime-hooks/python/docker/Dockerfile" in str(a.error)
    assert b.error is None


def test_the_base_is_built_from_runtime_base_and_nothing_else(artifact: Artifact) -> None:
    entry = artifact.entry().base().function("a")
    dockerfile = "runtime-base/runtime-hooks/python/docker/Dockerfile"
    entry.write(dockerfile, "FROM scratch\nCOPY ../functions/a/src /x\n")
    assert "inside the build context" in str(planned(entry)[0].error)
    entry.write(dockerfile, "FROM scratch\nCOPY functions/a/src /x\n")
    assert "nothing at 'functions/a/src'" in str(planned(entry)[0].error)


def test_a_base_on_itself_is_refused(artifact: Artifact) -> None:
    entry = artifact.entry().base().function("a")
    entry.write("runtime-base/runtime-hooks/python/docker/Dockerfile", f"FROM {BASE_REF}\n")
    assert "another image than the lambda base itself" in str(planned(entry)[0].error)


def test_a_missing_dockerfile_fails_its_image_unless_the_image_is_imported(artifact: Artifact) -> None:
    entry = artifact.entry().base().function("a").function("b", "FROM scratch\n")
    (entry.root / "functions/a/Dockerfile").unlink()
    a, b = planned(entry)
    assert "expected a Dockerfile, found nothing" in str(a.error)
    assert b.error is None
    assert [plan.functions for plan in planned(entry, imported=frozenset({"a"}))] == [("b",)]


def test_a_dockerfile_that_is_a_link_out_of_the_artifact_is_refused(
    artifact: Artifact, tmp_path: Path
) -> None:
    entry = artifact.entry().function("a", "FROM scratch\n")
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (entry.root / "functions/a/Dockerfile").unlink()
    (entry.root / "functions/a/Dockerfile").symlink_to("../../../../Dockerfile")
    assert "inside the artifact root" in str(planned(entry)[0].error)


def test_architectures_decide_the_platform_also_as_a_default(artifact: Artifact) -> None:
    entry = artifact.entry()
    entry.function("a", "FROM scratch\n", more="    architectures: [arm64]\n")
    entry.function("b", "FROM scratch\n", more="    architectures: [mips]\n")
    entry.function("c", "FROM scratch\n")
    a, b, c = planned(entry)
    assert (str(a.recipe.platform), str(c.recipe.platform)) == ("linux/arm64", "linux/amd64")
    assert "x86_64 or arm64" in str(b.error)


@pytest.mark.parametrize("image", ["' '", "'a b'", "':tag'"])
def test_an_image_reference_that_is_none_is_refused(artifact: Artifact, image: str) -> None:
    (plan,) = planned(artifact.entry().function("a", "FROM scratch\n", image=image))
    assert "functions.a.image: expected an image reference" in str(plan.error)


def test_a_dockerignore_excludes_and_an_own_one_comes_first(artifact: Artifact) -> None:
    entry = artifact.entry()
    entry.function("a", "FROM scratch\nCOPY functions/a/src /x\n")
    entry.function("b", "FROM scratch\nCOPY functions/b/src /x\n")
    entry.write(".dockerignore", "**/app.py\n")
    entry.write("functions/b/Dockerfile.dockerignore", "nothing\n")
    a, b = planned(entry)
    assert [entry.path for entry in a.recipe.layers[-1].entries] == ["x"]
    assert [entry.path for entry in b.recipe.layers[-1].entries] == ["x", "x/app.py"]


def test_a_file_that_dockerignore_excludes_is_missing_with_a_hint(artifact: Artifact) -> None:
    entry = artifact.entry().function("a", "FROM scratch\nCOPY functions/a/src/app.py /x\n")
    entry.write(".dockerignore", "**/app.py\n")
    assert ".dockerignore" in str(planned(entry)[0].error)
    entry.write(".dockerignore", "[\n")
    assert ".dockerignore:1" in str(planned(entry)[0].error)


def test_one_image_for_two_functions_is_made_once(artifact: Artifact) -> None:
    entry = artifact.entry()
    for name in ("a", "b"):
        entry.function(name, "FROM scratch\nENV A=1\n", image="shared:1")
    (plan,), problems = merge_plans(planned(entry))
    assert plan.functions == ("a", "b")
    assert problems == []


def test_different_images_under_one_reference_are_a_problem_and_the_last_wins(artifact: Artifact) -> None:
    entry = artifact.entry()
    for name in ("a", "b"):
        entry.function(name, f"FROM scratch\nENV A={name}\n", image="shared:1")
    (plan,), (problem,) = merge_plans(planned(entry))
    assert plan.functions == ("b",)
    assert "shared:1" in str(problem)
    assert "the last wins" in str(problem)


def test_one_base_for_two_platforms_is_no_problem(artifact: Artifact) -> None:
    entry = artifact.entry().base()
    entry.function("a").function("b", more="    architectures: [arm64]\n")
    plans, problems = merge_plans(planned(entry))
    assert [plan.ref for plan in plans] == [BASE_REF, "demo-dev-a:1", "demo-dev-b:1"]
    assert problems == []


def test_plans_are_the_same_in_threads(artifact: Artifact) -> None:
    from concurrent.futures import ThreadPoolExecutor

    entry = artifact.entry().base()
    for number in range(20):
        entry.function(f"f{number}")
    files = EntryFiles(
        EntryId("svc-00000000"),
        entry.root,
        entry.root / "runtime-config",
        load_runtime_config(entry.root / "runtime-config").config.functions,
    )

    def inputs(each: Callable[..., Any]) -> list[str]:
        return [plan.recipe.inputs for plan in plan_entry(files, empty_base, each)]

    with ThreadPoolExecutor(8) as pool:
        assert inputs(pool.map) == inputs(map)


def test_one_base_for_functions_of_two_platforms_is_one_image_where_a_name_may_have_both(
    artifact: Artifact,
) -> None:
    entry = artifact.entry().base().function("a").function("b", more="    architectures: [arm64]\n")
    plans, problems = merge_plans(planned(entry), single=False)
    assert [str(platform) for platform in plans[0].platforms] == ["linux/amd64", "linux/arm64"]
    assert (len(plans), problems) == (3, [])
    assert len(merge_plans(planned(entry))[0][0].platforms) == 1
