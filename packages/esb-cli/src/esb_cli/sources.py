"""The templates of one run: each with its name, the parameters meant for it, and what it asks for."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from artifact_contract.digests import file_digest
from artifact_contract.errors import FieldError, Place, Problem
from artifact_contract.ids import canonical_ref
from artifact_contract.models import Mode, SourceTemplate, Text, parse_secret_name
from attrs import evolve, frozen

from esb_cli.errors import TemplateError, UsageError
from esb_cli.sam.load import load_template
from esb_cli.sam.report import Report
from esb_cli.sam.template import read_template
from esb_cli.spec import build_spec
from esb_cli.spec_model import DeploySpec, Finding, ImageSource

__all__ = ["Source", "defined_twice", "read_sources", "relative_name", "sandboxes_told", "without_images"]

# What an agent's workers are shut in anyway, where it has no choice for each function.
_SANDBOXES: Mapping[Mode, tuple[str, ...]] = {Mode.PROCESS: (), Mode.DOCKER: ("runc",)}


@frozen
class Source:
    """A template, the name it goes by, the parameters meant for it, and what it asks for."""

    path: Path
    name: str
    parameters: Mapping[str, str]
    spec: DeploySpec

    def record(self) -> SourceTemplate:
        """Return what the manifest keeps; secrets are not among it (contract §8)."""
        secret = self.spec.secret_parameters
        parameters = {key: value for key, value in self.parameters.items() if key not in secret}
        return SourceTemplate(Text(self.name), file_digest(self.path.read_bytes()), parameters)


def read_sources(
    templates: Sequence[Path], root: Path, *, project: str, env: str, parameters: Mapping[str, str]
) -> list[Source]:
    """Read templates, which are named by their path from `root`.

    Raises:
        TemplateError: Some of them are wrong; all reasons of all of them.
        UsageError: One is given twice, or none has a parameter that is given.
    """
    names = [relative_name(path, root) for path in templates]
    twice = [name for name, times in Counter(map(canonical_ref, names)).items() if times > 1]
    if twice:
        raise UsageError(f"--template: given twice: {', '.join(twice)}")
    sources: list[Source] = []
    problems: list[Problem] = []
    for path, name, given in zip(templates, names, _meant_for_each(templates, parameters), strict=True):
        try:
            inside = root if path.resolve().is_relative_to(root.resolve()) else None
            spec = build_spec(path, project=project, env=env, parameters=given, root=inside, display=name)
            sources.append(Source(path, name, given, spec))
            problems += _unusable_secrets(name, spec)
        except TemplateError as error:
            problems += error.problems
    if problems:
        raise TemplateError(problems)
    return sources


def _unusable_secrets(name: str, spec: DeploySpec) -> Iterator[Problem]:
    for secret in spec.secrets:
        try:
            parse_secret_name(secret)
        except FieldError as error:
            yield error.at(Place(name), f"Parameters.{secret}")


def relative_name(path: Path, root: Path) -> str:
    """Return the path from `root`, with `/` between its segments."""
    return Path(os.path.relpath(path, root)).as_posix()


def without_images(spec: DeploySpec) -> DeploySpec:
    """Leave out functions that are container images, as a box without an engine can't run them."""
    images = [function for function in spec.functions if isinstance(function.code, ImageSource)]
    lost = "the function is left out: there are no container images in mode process"
    findings = [
        Finding(it.logical_id, "PackageType: Image", it.where.file, it.where.line, lost) for it in images
    ]
    kept = tuple(function for function in spec.functions if function not in images)
    return evolve(spec, functions=kept, findings=(*spec.findings, *findings)) if images else spec


def sandboxes_told(spec: DeploySpec, mode: Mode) -> DeploySpec:
    """Find each function whose sandbox no agent of this mode has: it would refuse the function."""
    lost = f"an agent of mode {mode.value} has no choice of sandboxes, and refuses the function"
    findings = [
        Finding(it.logical_id, f"Sandbox: {it.sandbox}", it.where.file, it.where.line, lost)
        for it in spec.functions
        if it.sandbox and it.sandbox not in _SANDBOXES.get(mode, (it.sandbox,))
    ]
    return evolve(spec, findings=(*spec.findings, *findings)) if findings else spec


def _meant_for_each(templates: Sequence[Path], parameters: Mapping[str, str]) -> list[Mapping[str, str]]:
    """Give each of several templates the parameters it declares; a single one has to know them all."""
    if len(templates) == 1 or not parameters:
        return [parameters] * len(templates)
    declared = [_declared(path) for path in templates]
    unknown = [key for key in parameters if not any(key in names for names in declared)]
    if unknown:
        raise UsageError(f"--parameter: none of the templates has {', '.join(unknown)}")
    return [{key: value for key, value in parameters.items() if key in names} for names in declared]


def _declared(template: Path) -> set[str]:
    report = Report(str(template))
    root = load_template(template.read_bytes(), report) if template.is_file() else None
    # What is wrong with it, build_spec will say.
    return set(read_template(root, report).parameters.items) if root is not None else set()


def defined_twice(sources: Sequence[Source]) -> Iterator[str]:
    """Say what is defined more than once: the later one wins when it is applied (contract §10)."""
    first: dict[tuple[str, str], str] = {}
    for source in sources:
        for kind, name, where in _definitions(source):
            before = first.setdefault((kind, name), where)
            if before != where:
                yield f"{where}: {kind} {name} is defined at {before} as well: this one wins when applied"


def _definitions(source: Source) -> Iterator[tuple[str, str, str]]:
    for function in source.spec.functions:
        yield "function", function.name, str(function.where)
        for route in function.routes:
            yield "route", f"{route.method} {route.path}", f"{function.where} ({function.logical_id})"
    for kind, resources in (("table", source.spec.tables), ("bucket", source.spec.buckets)):
        for resource in resources:
            yield kind, resource.name, str(resource.where) if resource.where.line else source.name
