"""What one function puts into an artifact, and how its image is built from that.

    functions/<name>/src                          code, without what must not ship (staging)
    functions/<name>/layers/<layer>               local layers
    functions/<name>/layers/python-requirements   what the requirements.txt beside the code asks for
    functions/<name>/Dockerfile                   from runtime-templates/python/templates/dockerfile.tmpl

Each part is an image layer of its own, so that a change of code leaves the requirements' layer as it is.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from artifact_contract.digests import Sha256, file_digest
from artifact_contract.errors import Place, Problem
from artifact_contract.tree import digest_file
from attrs import field, frozen

from esb_cli.images import base_image, dockerfile, function_tag, image_dockerfile
from esb_cli.requirements import has_requirements
from esb_cli.runtime_files import DOCKERFILE_TEMPLATE, PYTHON_HOOKS, RUNTIME_BASE, runtime_base_files
from esb_cli.spec_model import FunctionSpec, ImageSource, Inline, LayerSpec, LocalDir, Where
from esb_cli.staging import Collected, Exclusions, StagedFile, collect, every_file

__all__ = ["Built", "FunctionFiles", "Installs"]

# Which of the Python hooks' files go into an image, and where; the base's own Dockerfile says the same.
HOOK_FILES = ("sitecustomize/site-packages", "trace-bridge/layer")
HOOKS_IN_IMAGE = "/opt/esb/python/"
REQUIREMENTS_LAYER = "python-requirements"
PYTHON = re.compile(r"python(3\.\d+)")
NAME = re.compile(r"[A-Za-z0-9_-]{1,140}")  # of a function or a layer, as Lambda has it


class Installs(Protocol):
    """Turns a requirements file into a directory that can ship."""

    def install(self, file: Path, *, python: str, architecture: str) -> Path:
        """Return a directory with what the file asks for."""


@frozen
class Built:
    """The files of one function by their path in the artifact, and the tag of its image."""

    files: Mapping[str, StagedFile] = field(factory=dict)
    tag: str = ""


class FunctionFiles:
    """Builds one function after the other; what is wrong with any of them gathers in `problems`."""

    def __init__(self, prefix: str, installer: Installs, never_ship: frozenset[str]) -> None:
        """Take what stands before image names, who installs requirements, and real paths that never ship."""
        self._prefix = prefix
        self._installer = installer
        self._never_ship = never_ship
        # Functions often share code and layers.
        self._digests: dict[Path, Sha256] = {}
        self._collected: dict[tuple[Path, bool], Collected] = {}
        self.problems: list[Problem] = []
        self.warnings: dict[str, None] = {}  # in order, each once

    def build(self, spec: FunctionSpec) -> Built:
        """Return what the function puts into the artifact; nothing once there is a problem.

        Raises:
            TemplateError: A requirements file can't be satisfied.
            WorldError: Requirements can't be fetched.
            OSError: Code can't be read.
        """
        self._check(spec)
        if isinstance(spec.code, ImageSource):
            return self._image(spec, spec.code)
        python = PYTHON.fullmatch(spec.runtime)
        if not python:
            self._problem(spec.where, f"{spec.logical_id}.Runtime", "a Python runtime", repr(spec.runtime))
        if self.problems or not python:
            return Built()
        root = f"functions/{spec.name}"
        copies: list[tuple[str, str]] = []
        files: dict[str, StagedFile] = {}
        for source, into, found in self._parts(spec, python[1]):
            if found:
                copies.append((f"{root}/{source}/", into))
                files |= {f"{root}/{source}/{path}": staged for path, staged in found.items()}
        text, tag = self._dockerfile(spec, python[1], copies, files)
        return Built({**files, f"{root}/Dockerfile": StagedFile(text.encode())}, tag)

    def _image(self, spec: FunctionSpec, image: ImageSource) -> Built:
        """A Dockerfile that puts the hooks, which the artifact has anyway, on the given image."""
        places = [f"{RUNTIME_BASE}/{PYTHON_HOOKS}{part}/" for part in HOOK_FILES]
        hooks = {path: it for path, it in runtime_base_files().items() if path.startswith(PYTHON_HOOKS)}
        copied = {f"{RUNTIME_BASE}/{path}": (self._digest(it), it.executable) for path, it in hooks.items()}
        text = image_dockerfile(
            image,
            labels={"io.esb.function": spec.name},
            hooks=[(place, HOOKS_IN_IMAGE) for place in places],
        )
        digests = {path: it for path, it in copied.items() if path.startswith(tuple(places))}
        tag = function_tag(text, spec.architectures[0], digests)
        return Built({f"functions/{spec.name}/Dockerfile": StagedFile(text.encode())}, tag)

    def _check(self, spec: FunctionSpec) -> None:
        where, owner = spec.where, spec.logical_id
        for kind, name in (("function", spec.name), *(("layer", layer.name) for layer in spec.layers)):
            if not NAME.fullmatch(name) or (kind, name) == ("layer", REQUIREMENTS_LAYER):
                self._problem(where, owner, f"a {kind} name of letters, digits, '-' and '_'", repr(name))
        layers = {(layer.name, layer.source) for layer in spec.layers}
        if len({name for name, _ in layers}) < len(layers):
            self._problem(where, f"{owner}.Layers", "layers with different names", "one name for two")
        if any(not route.path for route in spec.routes):
            self._problem(where, f"{owner}.Events", "a path for each route", "a route without one")

    def _parts(self, spec: FunctionSpec, python: str) -> Iterator[tuple[str, str, dict[str, StagedFile]]]:
        """Yield where each part lies below the function, where in the image, and its files; base first."""
        for layer in {layer.name: layer for layer in spec.layers}.values():
            yield f"layers/{layer.name}", "/opt/", self._layer(layer, spec, python)
        yield f"layers/{REQUIREMENTS_LAYER}", "/var/task/", self._installed(spec.requirements, spec, python)
        yield "src", "/var/task/", self._code(spec)

    def _installed(self, file: Path | None, spec: FunctionSpec, python: str) -> dict[str, StagedFile]:
        if file is None or not has_requirements(file):
            return {}
        architecture = spec.architectures[0]
        return every_file(self._installer.install(file, python=python, architecture=architecture))

    def _code(self, spec: FunctionSpec) -> dict[str, StagedFile]:
        if isinstance(spec.code, Inline):
            return {spec.code.filename: StagedFile(spec.code.text.encode())}
        if isinstance(spec.code, ImageSource):
            return {}
        return self._directory(spec.code, spec.where, f"{spec.logical_id}.CodeUri", spec.runtime)

    def _layer(self, layer: LayerSpec, spec: FunctionSpec, python: str) -> dict[str, StagedFile]:
        where = layer.where if layer.where.line else spec.where
        owner = f"{layer.logical_id or layer.name}.ContentUri"
        prefix = f"{layer.content_root}/" if layer.content_root else ""
        installed = self._installed(layer.requirements, spec, python)
        own = self._directory(LocalDir(layer.source), where, owner, spec.runtime)
        return {
            **{f"python/{path}": staged for path, staged in installed.items()},
            **{prefix + path: staged for path, staged in own.items()},
        }

    def _directory(self, code: LocalDir, where: Where, owner: str, runtime: str) -> dict[str, StagedFile]:
        exclusions = Exclusions(self._never_ship, node_modules=not runtime.startswith("nodejs"))
        key = (code.path, exclusions.node_modules)
        if key not in self._collected:
            self._collected[key] = collect(code.path, exclusions)
        found = self._collected[key]
        for fault in found.faults:
            self._problem(where, owner, "files that can be copied", fault)
        if not found.files and not found.faults:
            self._problem(where, owner, "a directory with files", f"none in {code.path}")
        for secret in found.secrets:
            self.warnings[f"{where}: {owner}: {secret} stays behind, as it may hold secrets"] = None
        return dict(found.files)

    def _dockerfile(
        self, spec: FunctionSpec, python: str, copies: list[tuple[str, str]], files: Mapping[str, StagedFile]
    ) -> tuple[str, str]:
        """Return the Dockerfile's text, and the tag that it and all it copies give."""
        hooks = runtime_base_files()
        architecture = spec.architectures[0]
        base = base_image(
            python,
            architecture,
            [(path, self._digest(it)) for path, it in hooks.items() if path.startswith(PYTHON_HOOKS)],
        )

        def text(reference: str) -> str:
            labels = {"io.esb.function": spec.name, "io.esb.runtime": spec.runtime}
            template = hooks[DOCKERFILE_TEMPLATE].read().decode()
            return dockerfile(template, base=reference, labels=labels, copies=copies, command=spec.handler)

        digests = {path: (self._digest(staged), staged.executable) for path, staged in files.items()}
        return text(self._prefix + base), function_tag(text(base), architecture, digests)

    def _digest(self, staged: StagedFile) -> Sha256:
        if isinstance(staged.source, bytes):
            return file_digest(staged.source)
        if staged.source not in self._digests:
            self._digests[staged.source] = digest_file(staged.source)
        return self._digests[staged.source]

    def _problem(self, where: Where, owner: str, expected: str, found: str) -> None:
        self.problems.append(Problem(Place(where.file, where.line), owner, expected, found))
