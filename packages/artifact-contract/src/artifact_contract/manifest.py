"""`artifact.yml` as bytes to `Manifest` and back (contract §3, §4).

bytes ─reader▶ nodes ─fields, ids, unknown keys▶ Manifest and warnings, or everything that is wrong
"""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from pathlib import Path

import attrs
from attrs import field, frozen

from artifact_contract.codec import Reader, dump_yaml, read_yaml
from artifact_contract.errors import Place, Problem, SchemaError, Severity, error_for, in_order, raise_errors
from artifact_contract.manifest_checks import check_manifest
from artifact_contract.models import Entry, Manifest
from artifact_contract.nodes import Mapping, Node, Step, from_python
from artifact_contract.parsed import Parsed, Places, parse_located
from artifact_contract.tree import read_file

MANIFEST_FILE = "artifact.yml"
MAX_MANIFEST_BYTES = 8 * 1024 * 1024


def parse_manifest(data: bytes, file: str = MANIFEST_FILE, *, reader: Reader = read_yaml) -> Parsed[Manifest]:
    """The manifest in these bytes, with its warnings; `file` is its name in messages.

    Raises:
        ArtifactError: it breaks the contract; has every problem, with its place.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        found = f"{len(data) / (1 << 20):.1f} MiB"
        raise SchemaError([Problem(Place(file), "", f"at most {MAX_MANIFEST_BYTES >> 20} MiB", found)])
    return parse_located(data, file, structure, (reader, read_yaml))


def structure(node: Node, file: str) -> Parsed[Manifest]:
    """The manifest these nodes say.

    Raises:
        ArtifactError: as `parse_manifest`.
    """
    # here and not above: cattrs takes a while to import, and whoever only writes manifests never needs it
    from artifact_contract.structure import structure_manifest  # noqa: PLC0415 - see the line above

    places = Places(node, file)
    outcome = structure_manifest(node, places)
    checked = check_manifest(node, places)
    if isinstance(outcome, Manifest):
        return Parsed(outcome, raise_errors(in_order(checked)))
    fatal = [problem for problem in checked if problem.severity is Severity.ERROR]
    warnings = [problem for problem in checked if problem.severity is not Severity.ERROR]
    raise error_for(in_order([*outcome, *fatal]), in_order(warnings))


@frozen
class LoadedManifest:
    """A manifest and the file it was read from."""

    manifest: Manifest
    path: Path
    warnings: tuple[Problem, ...] = ()
    data: bytes = field(default=b"", repr=False)

    def root_of(self, entry: Entry) -> Path:
        """The artifact root of an entry: absolute, or below the manifest's directory (§5)."""
        return self.path.parent / entry.artifact_root

    def place(self, *path: Step) -> Place:
        """Where a field stands, for later findings: `place("artifacts", 0, "content_digest")`."""
        return self._places.of(path)

    @cached_property
    def _places(self) -> Places:
        node = read_yaml(self.data, str(self.path)) if self.data else Mapping()
        return Places(node, str(self.path))


def load_manifest(path: Path, *, reader: Reader = read_yaml) -> LoadedManifest:
    """Read a manifest.

    Raises:
        ArtifactError: there is no such file, or it breaks the contract.
        OSError: the file can't be read.
    """
    data = read_file(path, limit=MAX_MANIFEST_BYTES)
    parsed = parse_manifest(data, str(path), reader=reader)
    return LoadedManifest(parsed.value, path, parsed.warnings, data)


def dump_manifest(manifest: Manifest) -> str:
    """The text of `artifact.yml`; what isn't given is left out, the order of fields is always the same."""
    return dump_yaml(from_python(_plain(manifest)))


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    kind = type(value)
    if not attrs.has(kind):
        return value
    fields = {each.name: getattr(value, each.name) for each in attrs.fields(kind)}
    return {name: _plain(item) for name, item in fields.items() if item not in (None, "", ()) and item != {}}


def schema_text() -> str:
    """The JSON Schema of `artifact.yml`, for editors; it can't check ids, digests and paths on the disk."""
    from importlib.resources import files  # noqa: PLC0415 - 20 ms that reading a manifest doesn't need

    return files("artifact_contract").joinpath("schemas/artifact.schema.json").read_text(encoding="utf-8")
