"""Every conformance case with `esb artifact apply`: the producer accepts what the applier accepts."""

from pathlib import Path

import pytest
from artifact_contract.codec import read_yaml
from artifact_contract.nodes import plain_python
from click.testing import CliRunner
from esb_cli.cli import esb

CASES = Path(__file__).parents[3] / "conformance"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir()) if CASES.exists() else []

pytestmark = pytest.mark.skipif(not NAMES, reason="a member by itself has no shared cases")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONFIG_DIR", raising=False)
    (tmp_path / "esb.toml").write_text('[project]\nname = "shop"\n')
    return tmp_path


@pytest.mark.parametrize("strict", [False, True], ids=["", "strict"])
@pytest.mark.parametrize("name", NAMES)
def test_a_case_ends_as_it_says(name, strict, project):
    case = CASES / name
    expected = plain_python(read_yaml((case / "expected.yml").read_bytes(), "expected.yml"))
    options = ["--strict"] if strict else []
    if "secret_env" in expected:
        options += ["--secret-env", str(case / expected["secret_env"])]
    code = 0
    for manifest in expected.get("apply", [expected.get("manifest", "artifact.yml")]):
        command = ["artifact", "apply", "--artifact", str(case / manifest), "--out", "config", *options]
        code = code or CliRunner().invoke(esb, command, prog_name="esb").exit_code
    assert code == expected["strict" if strict else "exit"]
    assert (project / "config" / "functions.yml").exists() or code == 3
