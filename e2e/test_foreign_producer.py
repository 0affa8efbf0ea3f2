"""An artifact as another producer of the contract writes it validates, merges and applies, with warnings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

pytestmark = pytest.mark.gate
WARNED = [
    "generator.commit",
    "build",
    "artifacts[0].labels",
    "artifacts[0].runtime_meta.template_renderer.name",
    "routes[1].path",
]


@pytest.fixture(scope="module")
def artifactctl(install: Callable[..., Path]) -> Path:
    return install("artifactctl") / "artifactctl"


def test_a_foreign_artifact_validates_merges_and_applies_with_warnings(
    root: Path, tmp_path: Path, artifactctl: Path, run: Callable[..., CompletedProcess[str]]
) -> None:
    manifest = root / "conformance" / "foreign-producer" / "artifact.yml"
    validated = run(artifactctl, "validate-id", "--artifact", manifest)
    assert validated.stdout.split()[0] == "template-e2e-92eecc19"
    merged = run(artifactctl, "merge", "--artifact", manifest, "--out", tmp_path / "merged")
    applied = run(artifactctl, "apply", "--artifact", manifest, "--out", tmp_path / "applied")
    for done in (merged, applied):
        assert [field for field in WARNED if f" {field}: expected" not in done.stderr] == []
    functions = [(tmp_path / name / "functions.yml").read_bytes() for name in ("merged", "applied")]
    assert functions[0] == functions[1] != b""
    assert "path: ''" not in (tmp_path / "applied" / "routing.yml").read_text()


def test_strict_rejects_what_it_only_warned_about_and_writes_nothing(
    root: Path, tmp_path: Path, artifactctl: Path, run: Callable[..., CompletedProcess[str]]
) -> None:
    manifest = root / "conformance" / "foreign-producer" / "artifact.yml"
    config = tmp_path / "config"
    done = run(artifactctl, "apply", "--artifact", manifest, "--out", config, "--strict", check=False)
    assert done.returncode == 3
    assert not config.exists()
