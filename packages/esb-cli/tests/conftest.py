"""Fixtures of more than one test module."""

import base64
import hashlib
import os
import zipfile
from pathlib import Path

import pytest
from attrs import define, field
from esb_cli.spec_model import FunctionSpec, LocalDir, Where


@pytest.fixture
def tree(tmp_path):
    """Return a function that makes files below a directory from a mapping of paths to texts."""

    def make(files, root="."):
        for path, text in files.items():
            file = tmp_path / root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path / root

    return make


@pytest.fixture
def function(tree):
    """Return a function that makes a valid FunctionSpec; keywords change one thing of it."""

    def make(**changes):
        code = changes.pop("files", {"app.py": "def handler(event, context): ..."})
        name = changes.get("name", "hello")
        said = {
            "logical_id": "Hello",
            "name": name,
            "runtime": "python3.12",
            "handler": "app.handler",
            "code": LocalDir(tree(code, f"code-{name}")),
            "where": Where("template.yaml", 3),
        }
        return FunctionSpec(**(said | changes))

    return make


@define
class FakeInstalls:
    """Installs by writing one module that says for what it was asked."""

    directory: Path
    asked: list = field(factory=list)

    def install(self, file, *, python, architecture):
        """Return a directory with `installed.py`."""
        self.asked.append((file.name, python, architecture))
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "installed.py").write_text(f"{file.read_text()} {python} {architecture}")
        return self.directory


@pytest.fixture
def installs(tmp_path):
    """Return an installer that needs no network."""
    return FakeInstalls(tmp_path / "installed")


@pytest.fixture
def make_wheel(tmp_path):
    """Return a function that puts a wheel into a directory to install from."""
    directory = tmp_path / "wheels"
    directory.mkdir()

    def make(name, version="1.0", files=None, tag="py3-none-any", entry_points=""):
        info = f"{name}-{version}.dist-info"
        content = {
            **(files if files is not None else {f"{name}.py": "VALUE = 1\n"}),
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        }
        if entry_points:
            content[f"{info}/entry_points.txt"] = entry_points
        record = "".join(f"{path},{_hash(text)},{len(text)}\n" for path, text in content.items())
        content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
        with zipfile.ZipFile(directory / f"{name}-{version}-{tag}.whl", "w") as wheel:
            for path, text in content.items():
                wheel.writestr(path, text)
        return directory

    return make


def _hash(text):
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


@pytest.fixture
def offline(tmp_path):
    """Return an environment in which uv finds the wheels of `make_wheel` and asks no index."""
    config = tmp_path / "uv/uv.toml"  # not in a directory above the code, where uv would find it unasked
    config.parent.mkdir()
    config.write_text("no-index = true\n")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "UV_CONFIG_FILE": str(config),
        "UV_FIND_LINKS": str(tmp_path / "wheels"),
        "UV_NO_CACHE": "1",
    }
