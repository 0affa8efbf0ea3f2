"""What one entry of a manifest brings to the merge, read from its artifact root (contract §5, §9, §10)."""

from __future__ import annotations

from collections.abc import Iterator

from artifact_contract.codec import MAX_BYTES, Reader
from artifact_contract.config_files import CONFIG_FILES
from artifact_contract.errors import ArtifactError, Problem, Severity, error_for
from artifact_contract.manifest import LoadedManifest
from artifact_contract.models import Entry
from artifact_contract.parsed import Parsed
from artifact_contract.tree import read_file

from artifactctl.config_files import parse_files
from artifactctl.merging import EntrySlots
from artifactctl.ownership import Owner
from artifactctl.slots import label, to_slots


def read_entries(loaded: LoadedManifest, reader: Reader) -> Parsed[tuple[EntrySlots, ...]]:
    """The entries of a manifest in their order.

    Raises:
        ArtifactError: a runtime config breaks the contract; has the problems of all entries.
        OSError: a file can't be read.
    """
    entries: list[EntrySlots] = []
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for entry in loaded.manifest.artifacts:
        try:
            parsed = _read_entry(loaded, entry, reader)
        except ArtifactError as error:
            problems += error.problems
            warnings += error.warnings
        else:
            entries.append(parsed.value)
            warnings += parsed.warnings
    if problems:
        raise error_for(problems, warnings)
    return Parsed(tuple(entries), tuple(warnings))


def owner_of(loaded: LoadedManifest, entry: Entry) -> Owner:
    """Who an entry is from one apply to the next."""
    return Owner(loaded.manifest.project, loaded.manifest.env, entry.source_template.ref)


def _read_entry(loaded: LoadedManifest, entry: Entry, reader: Reader) -> Parsed[EntrySlots]:
    directory = loaded.root_of(entry) / entry.runtime_config_dir
    files = {
        name: read_file(directory / name, limit=MAX_BYTES)
        for name in CONFIG_FILES
        if (directory / name).exists()
    }
    parsed = parse_files(files, directory, reader)
    table = to_slots(parsed.value)
    slots = EntrySlots(entry.id, owner_of(loaded, entry), table.slots, directory)
    return Parsed(slots, (*parsed.warnings, *_repeated(slots, table.repeated)))


def _repeated(entry: EntrySlots, repeated: tuple[tuple[str, ...], ...]) -> Iterator[Problem]:
    for slot in repeated:
        name = f"{slot[0]}: {label(slot)}"
        yield Problem(entry.place(slot), name, "it once", "it again", "the last one counts", Severity.WARNING)
