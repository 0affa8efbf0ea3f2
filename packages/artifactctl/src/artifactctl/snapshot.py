"""CONFIG_DIR as it is at one moment, ready to be merged onto (contract §10, §11).

Nothing is locked and nothing is written: a generation doesn't change, and `state` tells a writer that has
the lock whether what was read before is still what is there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from artifact_contract.codec import Reader
from artifact_contract.config_files import CONFIG_FILES
from artifact_contract.errors import ArtifactError, Kind, Place, Problem, Severity
from artifact_contract.loader import CURRENT_LINK
from artifact_contract.nodes import Node
from artifact_contract.parsed import Parsed
from attrs import evolve, field, frozen

from artifactctl.config_files import dump_files, parse_files, read_files
from artifactctl.errors import ConfigDirError
from artifactctl.generations import (
    current_number,
    edited_files,
    generation_path,
    link_target,
    missing_links,
    plain_files,
    read_generation,
)
from artifactctl.merging import Base
from artifactctl.ownership import OWNERSHIP_FILE, Owners, parse_owners
from artifactctl.slots import Slots, to_slots

_ATTEMPTS = 20


@frozen
class Adoption:
    """A person's files, which become a generation of their own before anything is merged onto them."""

    files: Mapping[str, bytes]
    owners: Owners


@frozen
class Snapshot:
    """What CONFIG_DIR holds; `plain` files stand where links should be, `missing` links aren't there."""

    base: Base = field(factory=Base)
    current: int | None = None
    adoption: Adoption | None = None
    plain: tuple[str, ...] = ()
    missing: tuple[str, ...] = CONFIG_FILES
    warnings: tuple[Problem, ...] = ()
    state: object = None


def read_snapshot(config_dir: Path, reader: Reader) -> Snapshot:
    """What CONFIG_DIR holds; nothing when there is no such directory.

    Raises:
        ConfigDirError: it is no directory, or its files can't be read as a runtime config.
    """
    for _ in range(_ATTEMPTS):
        state = read_state(config_dir)
        try:
            return _read(config_dir, reader, state)
        except (ConfigDirError, OSError) as error:
            # A generation that is cleared away while it is read looks damaged.
            if read_state(config_dir) != state:
                continue
            if isinstance(error, OSError):
                raise ConfigDirError(f"{error.filename or config_dir}: {error.strerror or error}") from error
            raise
    raise ConfigDirError(f"{config_dir}: another generation each time it was read, {_ATTEMPTS} times")


def read_state(config_dir: Path) -> object:
    """A value that changes when what a snapshot holds changes; a missing directory is an empty one.

    Raises:
        ConfigDirError: CONFIG_DIR is not a directory.
    """
    if not config_dir.is_dir() and os.path.lexists(config_dir):
        raise ConfigDirError(f"{config_dir}: expected a directory, found something else")
    link = config_dir / CURRENT_LINK
    paths = [config_dir / name for name in CONFIG_FILES] + [link / name for name in CONFIG_FILES]
    return (str(link.readlink()) if link.is_symlink() else None, *map(_stamp, paths))


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns


def _read(config_dir: Path, reader: Reader, state: object) -> Snapshot:
    current = current_number(config_dir)
    written = _read_generation_files(config_dir, current)
    found = Snapshot(
        current=current, plain=plain_files(config_dir), missing=missing_links(config_dir), state=state
    )
    by_hand = {name: (config_dir / name).read_bytes() for name in found.plain}
    if by_hand and any(written.files.get(name) != data for name, data in by_hand.items()):
        return _adopting(config_dir, reader, found, written, by_hand)
    nodes = _parse(written.files, config_dir / CURRENT_LINK, reader, valid=not written.edited)
    slots = to_slots(nodes.value, keep_keyless=True).slots
    notes = tuple(_edited(config_dir, name, current) for name in written.edited)
    return evolve(
        found, base=Base(slots, _present(written.owners, slots)), warnings=(*notes, *nodes.warnings)
    )


def _adopting(
    config_dir: Path, reader: Reader, found: Snapshot, written: _Written, by_hand: Mapping[str, bytes]
) -> Snapshot:
    """A snapshot whose base has a person's files in place of the generation's.

    A key keeps its owner where the person left its value alone.
    """
    content = {**dump_files({}), **written.files, **by_hand}
    nodes = _parse(content, config_dir, reader)
    slots = to_slots(nodes.value, keep_keyless=True).slots
    before = _parse(written.files, config_dir / CURRENT_LINK, reader).value
    slots_before = to_slots(before, keep_keyless=True).slots
    owners = {slot: owner for slot, owner in written.owners.items() if _same(slots, slots_before, slot)}
    notes = tuple(_taken_over(config_dir, name) for name in found.plain)
    return evolve(
        found,
        base=Base(slots, owners),
        adoption=Adoption(content, owners),
        warnings=(*notes, *nodes.warnings),
    )


def _same(slots: Slots, before: Slots, slot: tuple[str, ...]) -> bool:
    return slot in slots and slot in before and slots[slot] == before[slot]


@frozen
class _Written:
    """What a generation holds; `edited` are files that a person has changed in it since."""

    files: Mapping[str, bytes] = field(factory=dict)
    owners: Owners = field(factory=dict)
    edited: tuple[str, ...] = ()


def _read_generation_files(config_dir: Path, number: int | None) -> _Written:
    if number is None:
        return _Written()
    directory = generation_path(config_dir, number)
    try:
        files = {name: (directory / name).read_bytes() for name in CONFIG_FILES}
        owners = parse_owners((directory / OWNERSHIP_FILE).read_bytes())
    except FileNotFoundError as error:
        raise ConfigDirError(f"{error.filename}: missing; roll back to another generation") from error
    except ValueError as error:
        raise ConfigDirError(f"{directory / OWNERSHIP_FILE}: not readable as ownership: {error}") from error
    return _Written(files, owners, edited_files(config_dir, read_generation(config_dir, number)))


def _parse(
    files: Mapping[str, bytes], directory: Path, reader: Reader, *, valid: bool = False
) -> Parsed[dict[str, Node]]:
    """The nodes of some files; `valid` ones are not checked again."""
    try:
        if valid:
            return Parsed(read_files(files, directory, reader))
        return parse_files(files, directory, reader)
    except ArtifactError as error:
        message = f"{directory}: not readable as a runtime config; correct it, or roll back"
        raise ConfigDirError(message, error.problems) from error


def _present(owners: Owners, slots: Slots) -> Owners:
    """The owners of what is there: what a person has deleted belongs to nobody."""
    return owners if owners.keys() <= slots.keys() else {key: owners[key] for key in owners if key in slots}


def _edited(config_dir: Path, name: str, current: int | None) -> Problem:
    expected = f"the content generation {current} was written with"
    return _note(config_dir / CURRENT_LINK / name, expected, "an edit by hand", "the edit is kept")


def _taken_over(config_dir: Path, name: str) -> Problem:
    expected = f"a link to {link_target(name)}"
    return _note(
        config_dir / name, expected, "a file put there by hand", "it becomes a generation of its own"
    )


def _note(path: Path, expected: str, found: str, hint: str) -> Problem:
    return Problem(Place(str(path)), "", expected, found, hint, Severity.WARNING, Kind.OWNERSHIP)
