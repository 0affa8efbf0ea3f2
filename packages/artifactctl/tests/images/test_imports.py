from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from artifact_contract.ids import EntryId, entry_id
from artifact_contract.models import Entry, SourceTemplate
from artifact_contract.runtime_config import Function, FunctionsConfig, ImageImport, ImageImportEntry
from artifactctl.images.api import Builder
from artifactctl.images.imports import EntryImports
from artifactctl.images.plan import EntryFiles
from artifactctl.images.planning import Method
from artifactctl.images.recipe import Platform
from artifactctl.images.work import Import

Imports = Callable[..., EntryImports]
METHOD = Method(Builder.AUTO, engine=True, single=False)


@pytest.fixture
def imports(tmp_path: Path) -> Imports:
    def make(*images: ImageImportEntry, push_target: str = "", prewarm: str | None = None) -> EntryImports:
        source = SourceTemplate(path="t.yaml")
        entry = Entry(
            id=entry_id("t.yaml", {}, ""),
            artifact_root="t",
            runtime_config_dir="runtime-config",
            source_template=source,
            image_prewarm=prewarm,
        )
        return EntryImports(entry, tmp_path, ImageImport("1", push_target, images))

    return make


def files(tmp_path: Path, *functions: Function) -> EntryFiles:
    config = FunctionsConfig(functions={one.name: one for one in functions})
    return EntryFiles(EntryId("t-00000000"), tmp_path, tmp_path, config)


def test_an_image_is_copied_for_the_platform_of_its_function(imports: Imports, tmp_path: Path) -> None:
    found = imports(ImageImportEntry("f", "docker.io/team/f:1", "registry:5010/f:1"))
    function = Function(name="f", image="registry:5010/f:1", architectures=("arm64",))
    (plan,) = found.plans(files(tmp_path, function), METHOD)
    assert plan.ref == "registry:5010/f:1"
    assert plan.functions == ("f",)
    assert plan.work == Import("docker.io/team/f:1", (Platform("linux", "arm64"),))
    assert found.warnings(possible=True) == []


@pytest.mark.parametrize(
    ("image_ref", "push_target", "expected"),
    [
        ("team/f:1", "registry:5010", "registry:5010/team/f:1"),
        ("f:1", "registry:5010/", "registry:5010/f:1"),
        ("other:5000/f:1", "registry:5010", "other:5000/f:1"),
        ("localhost/f:1", "registry:5010", "localhost/f:1"),
        ("f:1", "", "f:1"),
    ],
)
def test_a_reference_without_a_registry_is_in_the_push_target(
    imports: Imports, image_ref: str, push_target: str, expected: str
) -> None:
    image = ImageImportEntry("f", "source", image_ref)
    assert imports(image, push_target=push_target).sources() == {expected: "source"}


def test_nothing_is_copied_when_prewarm_is_off_and_a_warning_says_so(
    imports: Imports, tmp_path: Path
) -> None:
    found = imports(ImageImportEntry("f", "a", "b"), prewarm="off")
    assert list(found.plans(files(tmp_path), METHOD)) == []
    assert "image_prewarm: off; not imported: f" in str(found.warnings(possible=True)[0])


def test_an_image_without_source_or_name_is_left_out_with_a_warning(imports: Imports, tmp_path: Path) -> None:
    found = imports(ImageImportEntry("f"), ImageImportEntry("", "a", "b"))
    assert [plan.functions for plan in found.plans(files(tmp_path), METHOD)] == [("a|b",)]
    assert "image_source and image_ref" in str(found.warnings(possible=True)[0])
