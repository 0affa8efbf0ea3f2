"""`esb artifact generate`: templates become artifact roots and one manifest.

template -sources-> DeploySpec -render-> RenderedArtifact -publish-> artifact root    one for each template
`---> artifact.yml     one for all
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from artifact_contract.errors import FieldError, Problem
from artifact_contract.ids import EntryId, canonical_ref, slug
from artifact_contract.models import Manifest, Mode, SourceTemplate
from attrs import evolve, frozen

from esb_cli.errors import StrictError, TemplateError, UsageError
from esb_cli.function_files import Installs
from esb_cli.manifest import make_entry, make_manifest
from esb_cli.project import PROJECT_FILE
from esb_cli.publish import Output, Staged, publish
from esb_cli.render import RenderedArtifact, Target, render
from esb_cli.sources import (
    Source,
    defined_twice,
    read_sources,
    relative_name,
    sandboxes_told,
    without_images,
)

__all__ = ["GenerateRequest", "GenerateResult", "GeneratedEntry", "generate"]


@frozen
class GenerateRequest:
    """What to generate; all paths are absolute. With `keep_time`, `now` alone changes no manifest."""

    project_root: Path
    target: Target
    templates: tuple[Path, ...]
    parameters: Mapping[str, str]
    output: Path
    manifest: Path
    strict: bool
    now: datetime
    keep_time: bool
    version: str


@frozen
class GeneratedEntry:
    """One entry of the manifest, and what it holds."""

    id: EntryId
    root: Path
    unchanged: bool
    functions: int
    routes: int
    resources: int


@frozen
class GenerateResult:
    """The manifest and its entries, in order; what was left out of the templates or may surprise."""

    manifest: Path
    entries: tuple[GeneratedEntry, ...]
    warnings: tuple[str, ...]


def generate(request: GenerateRequest, installer: Installs) -> GenerateResult:
    """Render templates and publish them.

    Raises:
        TemplateError: Templates or what they refer to are wrong; all reasons of all templates.
        StrictError: With `strict`, something in the templates is not there on a box.
        UsageError: The request makes no sense, or something that isn't ours is in the way.
        WorldError: An index, or another run.
        OSError: The disk.
    """
    sources = read_sources(
        request.templates,
        request.project_root,
        project=request.target.project,
        env=request.target.env,
        parameters=request.parameters,
    )
    if request.target.mode is Mode.PROCESS:
        sources = [evolve(source, spec=without_images(source.spec)) for source in sources]
    sources = [evolve(source, spec=sandboxes_told(source.spec, request.target.mode)) for source in sources]
    findings = tuple(str(finding) for source in sources for finding in source.spec.findings)
    if request.strict and findings:
        raise StrictError("\n".join(findings))
    roots = _roots(sources, request.output)
    never_ship = _never_ship(request, roots)
    artifacts = _render(dict(zip(roots, sources, strict=True)), request.target, installer, never_ship)
    output = Output(request.output, request.manifest, request.keep_time)
    records = [source.record() for source in sources]
    staged = publish(artifacts, output, lambda staged: _describe(request, sources, records, staged))
    warnings = [warning for artifact in artifacts.values() for warning in artifact.warnings]
    return GenerateResult(
        request.manifest,
        tuple(map(_entry_result, sources, records, staged)),
        (*findings, *defined_twice(sources), *warnings),
    )


def _render(
    sources: Mapping[Path, Source], target: Target, installer: Installs, never_ship: frozenset[str]
) -> dict[Path, RenderedArtifact]:
    rendered: dict[Path, RenderedArtifact] = {}
    problems: list[Problem] = []
    for root, source in sources.items():
        try:
            rendered[root] = render(source.spec, target, installer, never_ship)
        except TemplateError as error:
            problems += error.problems
    if problems:
        raise TemplateError(problems)
    return rendered


def _roots(sources: Sequence[Source], output: Path) -> list[Path]:
    """Return where each artifact goes; the name doesn't change with the template's content."""
    slugs = [slug(source.name) for source in sources]
    times = Counter(slugs)
    return [
        output / (one if times[one] == 1 else f"{one}-{_hash(canonical_ref(source.name))}")
        for one, source in zip(slugs, sources, strict=True)
    ]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _never_ship(request: GenerateRequest, roots: Iterable[Path]) -> frozenset[str]:
    ours = [request.output, request.manifest, *roots, request.project_root / PROJECT_FILE, *request.templates]
    return frozenset(os.path.realpath(path) for path in ours)


def _describe(
    request: GenerateRequest,
    sources: Sequence[Source],
    records: Sequence[SourceTemplate],
    staged: Sequence[Staged],
) -> Manifest:
    try:
        entries = [
            make_entry(record, source.spec.secrets, one, relative_name(one.root, request.manifest.parent))
            for source, record, one in zip(sources, records, staged, strict=True)
        ]
    except FieldError as error:  # of a path: everything else was checked before
        raise UsageError(f"--output, --manifest: {error}") from error
    return make_manifest(request.target, entries, request.now, request.version)


def _entry_result(source: Source, record: SourceTemplate, staged: Staged) -> GeneratedEntry:
    spec = source.spec
    return GeneratedEntry(
        id=record.entry_id,
        root=staged.root,
        unchanged=staged.unchanged,
        functions=len(spec.functions),
        routes=sum(len(function.routes) for function in spec.functions),
        resources=len(spec.tables) + len(spec.buckets),
    )
