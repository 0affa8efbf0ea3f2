from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from artifact_contract.ids import entry_id
from artifactctl.images.bases import empty_base
from artifactctl.images.context import Context
from artifactctl.images.dockerfile import parse_dockerfile
from artifactctl.images.ignore import IgnoreRules
from artifactctl.images.interpret import Surroundings, interpret
from artifactctl.images.recipe import Platform, Recipe
from attrs import define, field
from hypothesis import settings

# a busy machine is no failure
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

AMD64 = Platform("linux", "amd64")
BASE_REF = "esb-lambda-base:python3.12-0123456789ab"
BASE_DOCKERFILE = """\
ARG PYTHON_VERSION=3.12
FROM public.ecr.aws/lambda/python:${PYTHON_VERSION}
COPY runtime-hooks/python/sitecustomize/site-packages/ /opt/esb/python/
ENV PYTHONPATH=/opt/esb/python
"""


@define
class EntryBuilder:
    """One entry of an artifact that is valid until a test breaks one thing."""

    root: Path
    template: str
    functions: dict[str, str] = field(factory=dict)

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        return file

    def base(self, sitecustomize: str = "") -> EntryBuilder:
        hooks = "runtime-base/runtime-hooks/python"
        self.write(f"{hooks}/docker/Dockerfile", BASE_DOCKERFILE)
        self.write(f"{hooks}/sitecustomize/site-packages/sitecustomize.py", sitecustomize)
        return self

    def function(self, name: str, dockerfile: str = "", *, image: str = "", more: str = "") -> EntryBuilder:
        default = f'FROM {BASE_REF}\nCOPY functions/{name}/src/ /var/task/\nCMD ["app.handler"]\n'
        text = dockerfile or default
        self.write(f"functions/{name}/Dockerfile", text)
        self.write(f"functions/{name}/src/app.py", f"NAME = {name!r}\n")
        self.functions[name] = f"    image: {image or f'demo-dev-{name}:1'}\n{more}"
        return self.save()

    def save(self) -> EntryBuilder:
        body = "".join(f"  {name}:\n{text}" for name, text in self.functions.items())
        self.write("runtime-config/functions.yml", f"functions:\n{body}" if body else "functions: {}\n")
        self.write("runtime-config/routing.yml", "routes: []\n")
        return self


@define
class ArtifactBuilder:
    """An artifact directory with a manifest over its entries."""

    directory: Path
    entries: list[EntryBuilder] = field(factory=list)

    @property
    def manifest(self) -> Path:
        return self.directory / "artifact.yml"

    def entry(self, name: str = "svc", extra: str = "") -> EntryBuilder:
        entry = EntryBuilder(self.directory / name, f"{name}.yaml")
        entry.save()
        self.entries.append(entry)
        lines = [
            'schema_version: "1"\nproject: demo\nenv: dev\nmode: process\nartifacts:\n',
            *(
                f"  - id: {entry_id(one.template, {}, '')}\n    artifact_root: {one.root.name}\n"
                f"    runtime_config_dir: runtime-config\n"
                f"    source_template: {{path: {one.template}}}\n{extra}"
                for one in self.entries
            ),
        ]
        self.manifest.write_text("".join(lines))
        return entry


@pytest.fixture
def artifact(tmp_path: Path) -> ArtifactBuilder:
    directory = tmp_path / "artifact"
    directory.mkdir()
    return ArtifactBuilder(directory)


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Recipe]:
    """Interpret a Dockerfile over files given as a mapping; a mode may follow the text."""

    def run(dockerfile: str, files: dict[str, str] | None = None, **more: object) -> Recipe:
        context = tmp_path / "context"
        context.mkdir(exist_ok=True)
        for path, text in (files or {}).items():
            file = context / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        surroundings = Surroundings(Context(context, IgnoreRules()), empty_base, AMD64, **more)
        return interpret(parse_dockerfile(dockerfile.encode(), "Dockerfile"), surroundings)

    return run


@pytest.fixture
def problems_of(build: Callable[..., Recipe]) -> Callable[..., list[str]]:
    """The messages of a Dockerfile that can't be built."""

    def run(dockerfile: str, files: dict[str, str] | None = None) -> list[str]:
        from artifactctl.images.interpret import DockerfileError

        with pytest.raises(DockerfileError) as caught:
            build(dockerfile, files)
        return [str(problem) for problem in caught.value.problems]

    return run


@pytest.fixture
def last_layer() -> Callable[[Recipe], dict[str, str]]:
    """The last layer as path -> `mode kind`, or `-> target` for a link."""

    def run(recipe: Recipe) -> dict[str, str]:
        return {
            entry.path: f"-> {entry.target}" if entry.target else f"{entry.mode:o} {entry.kind.name.lower()}"
            for entry in recipe.layers[-1].entries
        }

    return run


@define
class ReadImage:
    """One image as an independent reader of the layout sees it."""

    config: dict
    manifest: dict
    digest: str
    layers: list[bytes]

    def files(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer), mode="r:") as tar:
                for member in tar:
                    if member.isfile():
                        found[member.name] = tar.extractfile(member).read().decode()
        return found


@pytest.fixture
def read_layout() -> Callable[[Path], dict[str, ReadImage]]:
    """Validate a layout strictly against the OCI image specification and give its images by reference."""
    return validate


def validate(layout: Path) -> dict[str, ReadImage]:
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((layout / "index.json").read_text())
    assert index["schemaVersion"] == 2
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    assert not (layout / ".staging").exists()
    images = {}
    for descriptor in index["manifests"]:
        ref = descriptor["annotations"]["org.opencontainers.image.ref.name"]
        assert ref not in images
        images[ref] = _image(layout, descriptor)
    for blob in (layout / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    return images


def _image(layout: Path, descriptor: dict) -> ReadImage:
    assert descriptor["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    manifest = json.loads(_blob(layout, descriptor))
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == descriptor["mediaType"]
    assert manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    config = json.loads(_blob(layout, manifest["config"]))
    assert config["rootfs"]["type"] == "layers"
    assert descriptor["platform"] == {"os": config["os"], "architecture": config["architecture"]}
    assert config["created"] == "1970-01-01T00:00:00Z"
    layers = [_blob(layout, layer) for layer in manifest["layers"]]
    assert layers
    assert {layer["mediaType"] for layer in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar"}
    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    assert config["rootfs"]["diff_ids"] == diff_ids
    assert len([one for one in config["history"] if not one.get("empty_layer")]) == len(layers)
    for layer in layers:
        check_tar(layer)
    return ReadImage(config, manifest, descriptor["digest"], layers)


def _blob(layout: Path, descriptor: dict) -> bytes:
    algorithm, _, name = descriptor["digest"].partition(":")
    data = (layout / "blobs" / algorithm / name).read_bytes()
    assert len(data) == descriptor["size"]
    assert hashlib.sha256(data).hexdigest() == name
    return data


def check_tar(data: bytes) -> list[tarfile.TarInfo]:
    assert len(data) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names, key=str.encode)
    assert len(set(names)) == len(names)
    for member in members:
        assert (member.uid, member.gid, member.uname, member.gname, member.mtime) == (0, 0, "", "", 0)
        assert not member.name.startswith(("/", "../"))
        assert member.isfile() or member.isdir() or member.issym()
        above = member.name.rpartition("/")[0]
        assert not above or above in names
    return members
