"""New generations on the disk, in an order that leaves a whole CONFIG_DIR wherever it stops (contract §11).

    files ─write, sync each▶ generations/.tmp-… ─sync, rename, sync▶ generations/000003 ─link, rename▶ current

Whatever is found before a step is valid after it: killed anywhere, a reader sees the generation before or
the one after, and the next writer removes what is left over. Everything here runs under the lock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from artifact_contract.digests import file_digest
from artifact_contract.errors import Place, Problem, Severity
from artifact_contract.loader import CURRENT_LINK
from attrs import evolve

from artifactctl.disk import Disk
from artifactctl.errors import DiskError
from artifactctl.generations import (
    GENERATION_FILE,
    GENERATIONS,
    TEMPORARY,
    Generation,
    dump_generation,
    generation_name,
    generation_numbers,
    generation_path,
    is_own_link,
    link_target,
)

# What a rollback finds in place of a link is kept beside it; the newest such file wins.
_SET_ASIDE = ".by-hand"


def prepare_directory(config_dir: Path, disk: Disk) -> None:
    """Create CONFIG_DIR, and what is missing above it.

    Raises:
        DiskError: it can't be created.
    """
    missing = [path for path in (config_dir, *config_dir.parents) if not path.exists()]
    for path in reversed(missing):
        # Another writer may be just as early.
        with suppress(DiskError):
            disk.make_directory(path)
        if not path.is_dir():
            disk.make_directory(path)
        with suppress(DiskError):  # a directory above may be one we may enter and not read
            disk.sync(path.parent)


def clear_leftovers(config_dir: Path, disk: Disk) -> None:
    """Remove what a killed writer left behind."""
    for parent in (config_dir, config_dir / GENERATIONS):
        for path in parent.glob(f"{TEMPORARY}*"):
            _remove(path, disk)


def write_generation(
    config_dir: Path, generation: Generation, files: Mapping[str, bytes], disk: Disk
) -> Generation:
    """Put a complete generation beside the others; it isn't current yet. Returns it with its files' digests.

    Raises:
        DiskError: it can't be written; nothing of it is left.
    """
    parent = config_dir / GENERATIONS
    if not parent.is_dir():
        disk.make_directory(parent)
        disk.sync(config_dir)
    digests = {name: str(file_digest(data)) for name, data in files.items()}
    complete = evolve(generation, files=digests)
    temporary = parent / f"{TEMPORARY}{generation_name(generation.number)}"
    try:
        disk.make_directory(temporary)
        for name, data in {**files, GENERATION_FILE: dump_generation(complete)}.items():
            disk.write_file(temporary / name, data)
            disk.sync(temporary / name)
        disk.sync(temporary)
        disk.rename(temporary, generation_path(config_dir, generation.number))
    except BaseException:
        _remove(temporary, disk)
        raise
    disk.sync(parent)
    return complete


def switch_to(config_dir: Path, number: int, disk: Disk) -> None:
    """Make a generation the current one: one rename, for all files and all readers at once.

    Raises:
        DiskError: the link can't be replaced; the one before stays.
    """
    _replace_link(config_dir / CURRENT_LINK, f"{GENERATIONS}/{generation_name(number)}", disk)
    disk.sync(config_dir)


def make_links(config_dir: Path, names: Iterable[str], disk: Disk) -> None:
    """Let these files at the top of CONFIG_DIR lead through `current`; replaces what stands there.

    Raises:
        DiskError: a link can't be made.
    """
    wanted = [name for name in names if not is_own_link(config_dir, name)]
    for name in wanted:
        _replace_link(config_dir / name, link_target(name), disk)
    if wanted:
        disk.sync(config_dir)


def set_aside(config_dir: Path, name: str, disk: Disk) -> Path:
    """Give a person's file another name, so that a link can take its place; returns that name.

    Raises:
        DiskError: it can't be renamed.
    """
    kept = config_dir / f"{name}{_SET_ASIDE}"
    disk.rename(config_dir / name, kept)
    return kept


def prune_generations(
    config_dir: Path, current: int, keep: int, disk: Disk
) -> tuple[tuple[int, ...], tuple[Problem, ...]]:
    """Remove all but the current generation and the `keep` newest others; returns those, and what went wrong.

    What can't be removed is no reason to fail: what was applied is in force.
    """
    others = [number for number in generation_numbers(config_dir) if number != current]
    doomed: dict[int, Path] = {}
    problems: list[Problem] = []
    try:
        for number in others[: max(0, len(others) - keep)]:
            path = generation_path(config_dir, number)
            target = path.with_name(f"{TEMPORARY}{path.name}")
            disk.rename(path, target)
            doomed[number] = target
        if doomed:
            # Only then is it taken apart: a generation that has its name is complete.
            disk.sync(config_dir / GENERATIONS)
    except DiskError as error:
        place, expected = Place(str(config_dir / GENERATIONS)), "old generations that can be removed"
        problems.append(Problem(place, "", expected, str(error), severity=Severity.WARNING))
    else:
        for path in doomed.values():
            _remove(path, disk)
    return tuple(doomed), tuple(problems)


def next_number(config_dir: Path) -> int:
    """The number of the next generation: no number is used twice while a higher one is kept."""
    return max(generation_numbers(config_dir), default=0) + 1


def _replace_link(path: Path, target: str, disk: Disk) -> None:
    temporary = path.with_name(f"{TEMPORARY}{path.name}")
    try:
        disk.make_link(temporary, target)
        disk.rename(temporary, path)
    except BaseException:
        _remove(temporary, disk)
        raise


def _remove(path: Path, disk: Disk) -> None:
    """Remove a file, link or directory as far as possible; the next writer tries again."""
    with suppress(DiskError, FileNotFoundError):
        if path.is_symlink() or not path.is_dir():
            disk.remove_file(path)
            return
        for inner in path.iterdir():
            _remove(inner, disk)
        disk.remove_directory(path)
