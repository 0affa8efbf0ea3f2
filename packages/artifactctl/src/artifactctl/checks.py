"""Everything that is checked before the first write, in the contract's order (contract §11).

    manifest ─▶ paths ─▶ runtime metadata and digests ─▶ secrets ─▶ runtime configs, ready to be merged

A stage reports all its problems; the next one runs when it has no error.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from artifact_contract.codec import Reader
from artifact_contract.errors import ArtifactError, Problem, raise_errors
from artifact_contract.manifest import LoadedManifest, load_manifest
from artifact_contract.verify import verify_content, verify_paths, verify_runtime_meta
from attrs import frozen

from artifactctl.entry_config import read_entries
from artifactctl.errors import RequestError
from artifactctl.merging import EntrySlots
from artifactctl.secret_env import check_secrets


@frozen
class Checked:
    """An artifact that may be applied, and what was odd about it."""

    loaded: LoadedManifest
    entries: tuple[EntrySlots, ...]
    warnings: tuple[Problem, ...]


@frozen
class Secrets:
    """Where the secret values are said to be; None: nowhere."""

    path: Path | None


def check_artifact(
    artifact: Path, config_dir: Path, *, strict: bool, secrets: Secrets | None, reader: Reader
) -> Checked:
    """Check the artifact and read what its entries bring; `secrets` None leaves that check out.

    Raises:
        ArtifactError: it is rejected.
        RequestError: CONFIG_DIR is inside the artifact, where nothing may be written.
        OSError: a file can't be read.
    """
    loaded = load_manifest(artifact, reader=reader)
    entries = loaded.manifest.artifacts
    warnings = raise_errors(loaded.warnings, strict=strict)
    warnings = _stage(warnings, (p for entry in entries for p in verify_paths(loaded, entry)), strict=strict)
    _refuse_inside(loaded, config_dir)
    metadata = (
        problem
        for entry in entries
        for problem in (*verify_runtime_meta(loaded, entry), *verify_content(loaded, entry))
    )
    warnings = _stage(warnings, metadata, strict=strict)
    if secrets is not None:
        required = [name for entry in entries for name in entry.required_secret_env]
        warnings = _stage(warnings, check_secrets(required, secrets.path, artifact), strict=strict)
    try:
        parsed = read_entries(loaded, reader)
    except ArtifactError as error:
        # everything that was said so far belongs to the rejection
        raise type(error)(error.problems, (*warnings, *error.warnings)) from error
    return Checked(loaded, parsed.value, _stage(warnings, parsed.warnings, strict=strict))


def _stage(before: Iterable[Problem], found: Iterable[Problem], *, strict: bool) -> tuple[Problem, ...]:
    return raise_errors((*before, *found), strict=strict)


def _refuse_inside(loaded: LoadedManifest, config_dir: Path) -> None:
    """An artifact is read-only: CONFIG_DIR can't be in one (§1)."""
    target = config_dir.resolve()
    for entry in loaded.manifest.artifacts:
        root = loaded.root_of(entry).resolve()
        if target.is_relative_to(root):
            raise RequestError(
                f"{config_dir}: is inside the artifact root {root}, where nothing may be written"
            )
