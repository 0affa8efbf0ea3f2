"""`validate-id`: are the ids of a manifest the ones its entries give (contract §3, §4)?"""

from __future__ import annotations

from pathlib import Path

from artifact_contract.errors import Problem, raise_errors
from artifact_contract.ids import EntryId
from artifact_contract.manifest import load_manifest
from attrs import frozen

from artifactctl.block_yaml import block_reader


@frozen(kw_only=True)
class ValidateIdRequest:
    """Check the ids of a manifest."""

    artifact: Path
    strict: bool = False


@frozen(kw_only=True)
class ValidatedEntry:
    """An entry whose id is the right one."""

    id: EntryId
    ref: str


@frozen(kw_only=True)
class ValidateIdResult:
    """The entries of a valid manifest, in its order."""

    artifact: Path
    entries: tuple[ValidatedEntry, ...]
    warnings: tuple[Problem, ...]


def validate_id(request: ValidateIdRequest) -> ValidateIdResult:
    """The ids of a manifest, each recomputed and found right; looks at no other file.

    Raises:
        ArtifactError: the manifest breaks the contract; has all its problems.
        OSError: it can't be read.
    """
    loaded = load_manifest(request.artifact, reader=block_reader())
    warnings = raise_errors(loaded.warnings, strict=request.strict)
    entries = tuple(
        ValidatedEntry(id=entry.id, ref=entry.source_template.ref) for entry in loaded.manifest.artifacts
    )
    return ValidateIdResult(artifact=request.artifact, entries=entries, warnings=warnings)
