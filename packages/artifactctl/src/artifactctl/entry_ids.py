"""`validate-id`: are the ids of a manifest the ones its entries give (contract §3, §4)?"""

from __future__ import annotations

from artifact_contract.errors import raise_errors
from artifact_contract.manifest import load_manifest

from artifactctl.api import ValidatedEntry, ValidateIdRequest, ValidateIdResult
from artifactctl.block_yaml import block_reader


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
