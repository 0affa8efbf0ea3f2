"""What is published: the wheel holds every file of the package, hooks and templates above all."""

import os
import subprocess
import zipfile
from pathlib import Path

import esb_cli
import pytest
import uv

MEMBER = Path(__file__).resolve().parents[1]
BACKEND_MISSING = ("Failed to fetch", "No solution found", "network was disabled", "error sending request")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return the wheel, built from the sources; skip where the build backend can't be had."""
    out = tmp_path_factory.mktemp("dist")
    built = subprocess.run(
        [uv.find_uv_bin(), "build", "--wheel", "--quiet", "--out-dir", out, MEMBER],
        env=os.environ | {"UV_PYTHON_DOWNLOADS": "never"},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode and any(reason in built.stderr for reason in BACKEND_MISSING):
        pytest.skip(f"the build backend can't be had: {built.stderr.strip().splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    (file,) = out.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        yield archive


def test_it_holds_every_file_of_the_package(wheel):
    package = Path(esb_cli.__file__).parent
    files = {
        f"esb_cli/{path.relative_to(package).as_posix()}": path
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files.keys() <= set(wheel.namelist())
    assert all(wheel.read(name) == path.read_bytes() for name, path in files.items())


def test_it_brings_the_command_and_the_licence(wheel):
    names = wheel.namelist()
    (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
    assert "esb = esb_cli.cli:main" in wheel.read(entry_points).decode()
    assert any(name.endswith("LICENSE") for name in names)
    assert not any("tests" in name for name in names)
