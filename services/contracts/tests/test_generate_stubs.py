"""The committed stubs are what agent.proto gives. Needs grpcio-tools, which only developers have."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("grpc_tools")
SCRIPT = Path(__file__).parents[3] / "scripts" / "generate_stubs.py"


if not SCRIPT.is_file():
    pytest.skip("only in the repository", allow_module_level=True)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("generate_stubs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_committed_stubs_are_current(script):
    assert script.main(["--check"]) == 0


def test_a_changed_stub_is_noticed(script, tmp_path):
    (tmp_path / "a.py").write_text("old")
    (tmp_path / "same.py").write_text("same")
    assert script.stale({"a.py": "new", "same.py": "same", "missing.py": ""}, tmp_path) == [
        "a.py",
        "missing.py",
    ]


def test_another_generator_version_alone_makes_nothing_stale(script, tmp_path):
    (tmp_path / "a.py").write_text(
        "# Protobuf Python Version: 7.35.1\nDomain.PUBLIC,\n    7,\n    35,\n    1,\n    ''"
    )
    text = "# Protobuf Python Version: 8.0.0\nDomain.PUBLIC,\n    8,\n    0,\n    0,\n    ''"
    assert script.stale({"a.py": text}, tmp_path) == []
