"""An artifact needs neither its producer nor its place: it applies elsewhere, with one wheel."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.gate
Run = Callable[..., CompletedProcess[str]]
FUNCTIONS = {"OrdersFunction", "AttachmentsFunction", "PriceFunction", "CleanupFunction"}


def test_a_moved_artifact_applies_with_the_applier_alone_after_the_project_is_gone(
    root: Path, tmp_path: Path, install: Callable[..., Path], run: Run
) -> None:
    project = tmp_path / "author" / "orders"
    shutil.copytree(root / "examples" / "orders", project, ignore=shutil.ignore_patterns("artifact", ".esb"))
    author = install("esb-cli")
    run(author / "esb", "artifact", "generate", "--env", "dev", "--mode", "process", cwd=project)
    artifact = tmp_path / "box" / "moved"
    artifact.parent.mkdir()
    shutil.move(project / "artifact", artifact)
    shutil.rmtree(tmp_path / "author")

    tools = install("artifactctl")
    assert run(tools / "python", "-c", "import esb_cli", check=False).returncode == 1
    manifest, config, images = (
        artifact / "artifact.yml",
        tmp_path / "box" / "config",
        tmp_path / "box" / "images",
    )
    run(tools / "artifactctl", "validate-id", "--artifact", manifest, "--strict")
    run(tools / "artifactctl", "prepare-images", "--artifact", manifest, "--target", f"oci-layout:{images}")
    run(tools / "artifactctl", "apply", "--artifact", manifest, "--out", config, "--strict")

    applied = load(tools, config, run)
    assert set(applied) == FUNCTIONS
    index = json.loads((images / "index.json").read_text())
    names = {each["annotations"]["org.opencontainers.image.ref.name"] for each in index["manifests"]}
    assert set(applied.values()) <= names


def load(tools: Path, config: Path, run: Run) -> dict[str, str]:
    """Return each applied function's image, as a service's loader reads them."""
    code = (
        "import json, sys; from pathlib import Path; "
        "from artifact_contract.loader import load_runtime_config as load; "
        "functions = load(Path(sys.argv[1])).config.functions.functions; "
        "print(json.dumps({name: function.image for name, function in functions.items()}))"
    )
    found: dict[str, str] = json.loads(run(tools / "python", "-c", code, config).stdout)
    return found
