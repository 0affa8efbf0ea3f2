"""Is what a manifest says about its files true: paths, links, digests, versions (contract §5, §6, §7).

The order of checks matters (§11): `verify_paths` first, for without an artifact root there is nothing to
digest. Each returns what is wrong; `errors.raise_errors` decides, with `--strict`, what to make of it.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from artifact_contract.config_files import REQUIRED_FILES
from artifact_contract.digests import Sha256, parse_sha256, same_digest
from artifact_contract.errors import ArtifactError, FieldError, Kind, Place, Problem, Severity
from artifact_contract.manifest import LoadedManifest
from artifact_contract.models import Entry, RuntimeHooks, RuntimeMeta, TemplateRenderer
from artifact_contract.nodes import Step, field_text, quote
from artifact_contract.tree import digest_file, digest_tree, resolve_inside, scan
from artifact_contract.versions import (
    RUNTIME_HOOKS_API,
    TEMPLATE_RENDERER_API,
    TEMPLATE_RENDERER_NAME,
    Verdict,
    check_api_version,
)

RUNTIME_BASE = "runtime-base"
SITECUSTOMIZE = f"{RUNTIME_BASE}/runtime-hooks/python/sitecustomize/site-packages/sitecustomize.py"
JAVA_AGENT = f"{RUNTIME_BASE}/runtime-hooks/java/agent/lambda-java-agent.jar"
JAVA_WRAPPER = f"{RUNTIME_BASE}/runtime-hooks/java/wrapper/lambda-java-wrapper.jar"
TEMPLATES = f"{RUNTIME_BASE}/runtime-templates"


@frozen
class RuntimeMetaDigests:
    """The digests of `runtime_meta` as the files give them; None where there is no such file."""

    python_sitecustomize_digest: Sha256 | None = None
    java_agent_digest: Sha256 | None = None
    java_wrapper_digest: Sha256 | None = None
    template_digest: Sha256 | None = None


def runtime_meta_digests(artifact_root: Path) -> RuntimeMetaDigests:
    """The four digests of what lies under `runtime-base/`: three files, and the directory of templates (§6).

    Raises:
        PathError: a link leads out of the artifact root.
        OSError: a file can't be read.
    """
    return RuntimeMetaDigests(
        *(
            _digest_or_none(artifact_root, path)
            for path in (SITECUSTOMIZE, JAVA_AGENT, JAVA_WRAPPER, TEMPLATES)
        )
    )


def _digest_or_none(root: Path, relative: str) -> Sha256 | None:
    path = resolve_inside(root, relative)
    if path.is_dir():
        return digest_tree(path) if any(path.iterdir()) else None
    return digest_file(path) if path.is_file() else None


def verify_entry(loaded: LoadedManifest, entry: Entry) -> list[Problem]:
    """Everything about one entry; digests and versions only when its paths are right.

    Raises:
        OSError: a directory can't be read.
    """
    problems = verify_paths(loaded, entry)
    if any(problem.severity is Severity.ERROR for problem in problems):
        return problems
    return problems + verify_runtime_meta(loaded, entry) + verify_content(loaded, entry)


def verify_paths(loaded: LoadedManifest, entry: Entry) -> list[Problem]:
    """The artifact root is there and no link leaves it, the runtime config has its required files (§5, §10).

    Raises:
        OSError: a directory can't be read.
    """
    at = _Site(loaded, entry)
    root = loaded.root_of(entry)
    if not root.is_dir():
        found = f"{root}, which is {'a file' if root.exists() else 'not there'}"
        return [at.problem(("artifact_root",), "a directory", found, kind=Kind.PATH)]
    problems = scan(root).problems
    if problems:
        return problems
    config = root / entry.runtime_config_dir
    if not config.is_dir():
        found = f"{config}, which is {'a file' if config.exists() else 'not there'}"
        problems.append(at.problem(("runtime_config_dir",), "a directory", found, kind=Kind.PATH))
    else:
        problems += _missing_files(config)
    if entry.bundle_manifest and not (root / entry.bundle_manifest).is_file():
        found = f"{root / entry.bundle_manifest}, which is no file"
        problems.append(at.problem(("bundle_manifest",), "a file", found, Severity.STRICT, Kind.PATH))
    return problems


def _missing_files(config: Path) -> list[Problem]:
    missing = [name for name in REQUIRED_FILES if not (config / name).is_file()]
    return [Problem(Place(str(config / name)), "", "a file", "nothing", kind=Kind.PATH) for name in missing]


def verify_runtime_meta(loaded: LoadedManifest, entry: Entry) -> list[Problem]:
    """Versions are ones this tool works with, digests those of the files in `runtime-base/` (§6, §7)."""
    at = _Site(loaded, entry)
    meta = entry.runtime_meta or RuntimeMeta()
    hooks = meta.runtime_hooks or RuntimeHooks()
    renderer = meta.template_renderer or TemplateRenderer()
    to_hooks, to_renderer = ("runtime_meta", "runtime_hooks"), ("runtime_meta", "template_renderer")
    problems = [
        *at.version((*to_hooks, "api_version"), hooks.api_version, RUNTIME_HOOKS_API),
        *at.version((*to_renderer, "api_version"), renderer.api_version, TEMPLATE_RENDERER_API),
    ]
    if renderer.name not in ("", TEMPLATE_RENDERER_NAME):
        path = (*to_renderer, "name")
        problems.append(at.problem(path, TEMPLATE_RENDERER_NAME, quote(renderer.name), Severity.WARNING))
    declared = [
        ((*to_hooks, "python_sitecustomize_digest"), hooks.python_sitecustomize_digest, SITECUSTOMIZE),
        ((*to_hooks, "java_agent_digest"), hooks.java_agent_digest, JAVA_AGENT),
        ((*to_hooks, "java_wrapper_digest"), hooks.java_wrapper_digest, JAVA_WRAPPER),
        ((*to_renderer, "template_digest"), renderer.template_digest, TEMPLATES),
    ]
    for path, digest, relative in declared:
        problems += at.digest(path, digest, relative)
    return problems


def verify_content(loaded: LoadedManifest, entry: Entry) -> list[Problem]:
    """The artifact root has the digest the manifest gives, where it gives one (§6)."""
    return _Site(loaded, entry).digest(("content_digest",), entry.content_digest, "")


@frozen
class _Site:
    """One entry of a manifest: turns facts about it into problems with their place."""

    loaded: LoadedManifest
    entry: Entry

    def problem(
        self,
        path: tuple[Step, ...],
        expected: str,
        found: str,
        severity: Severity = Severity.ERROR,
        kind: Kind = Kind.SCHEMA,
    ) -> Problem:
        full = ("artifacts", self.loaded.manifest.artifacts.index(self.entry), *path)
        place = self.loaded.place(*full)
        return Problem(place, field_text(full), expected, found, "", severity, kind)

    def version(self, path: tuple[Step, ...], text: str, supported: str) -> list[Problem]:
        """What is wrong with an api_version; none given is right."""
        verdict = check_api_version(text, supported)
        if not text or verdict is Verdict.SUPPORTED:
            return []
        severity = Severity.ERROR if verdict is Verdict.OTHER_MAJOR else Severity.STRICT
        found = f"{quote(text)}, {verdict.value}"
        return [self.problem(path, f"version {supported}", found, severity, Kind.VERSION)]

    def digest(self, path: tuple[Step, ...], declared: str, relative: str) -> list[Problem]:
        """What is wrong with the declared digest of something in the artifact root; none is right."""
        if not declared:
            return []
        root = self.loaded.root_of(self.entry)
        what = relative or "the artifact root"
        try:
            expected = parse_sha256(declared)
            actual = _digest_or_none(root, relative)
        except FieldError as error:
            return [self.problem(path, error.expected, error.found, Severity.STRICT, Kind.DIGEST)]
        except (ArtifactError, OSError) as error:
            return [self.problem(path, f"{what} with this digest", str(error), Severity.STRICT, Kind.DIGEST)]
        if actual and same_digest(expected, actual):
            return []
        found = f"{actual}, of {what}" if actual else f"{what} missing"
        return [self.problem(path, declared, found, Severity.STRICT, Kind.DIGEST)]
