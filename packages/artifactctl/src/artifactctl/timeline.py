"""History, rollback and status: what generations make possible (contract §11).

Reading them takes no lock. A rollback writes one link: it works on a full disk, and when the files that
stand in its way can't be read.
"""

from __future__ import annotations

from pathlib import Path

from artifact_contract.config_files import CONFIG_FILES
from artifact_contract.errors import Place, Problem, Severity
from artifact_contract.loader import CURRENT_LINK

from artifactctl.api import (
    Drift,
    HistoryRequest,
    HistoryResult,
    RollbackRequest,
    RollbackResult,
    StatusRequest,
    StatusResult,
)
from artifactctl.disk import Disk, LocalDisk
from artifactctl.errors import ConfigDirError, RequestError
from artifactctl.generations import (
    Generation,
    current_number,
    edited_files,
    generation_numbers,
    generation_path,
    link_target,
    missing_links,
    plain_files,
    read_generation,
)
from artifactctl.lock import OnWait, current_holder, exclusive
from artifactctl.publishing import clear_leftovers, make_links, set_aside, switch_to
from artifactctl.transaction import ignore_wait

_LOCAL_DISK = LocalDisk()


def history(request: HistoryRequest) -> HistoryResult:
    """The generations kept, oldest first; one whose record is damaged is a warning.

    Raises:
        RequestError: there is no such CONFIG_DIR.
        ConfigDirError: `current` is not a link to a generation.
    """
    config_dir = _existing(request.config_dir)
    found: list[Generation] = []
    warnings: list[Problem] = []
    for number in generation_numbers(config_dir):
        try:
            found.append(read_generation(config_dir, number))
        except ConfigDirError as error:
            place = Place(str(generation_path(config_dir, number)))
            problem = Problem(place, "", "a whole generation", str(error), severity=Severity.WARNING)
            warnings.append(problem)
    return HistoryResult(
        config_dir=config_dir,
        current=current_number(config_dir),
        generations=tuple(found),
        warnings=tuple(warnings),
    )


def status(request: StatusRequest) -> StatusResult:
    """The current generation, and every file that isn't what it was written with.

    Raises:
        RequestError: there is no such CONFIG_DIR.
        ConfigDirError: the current generation can't be read.
    """
    config_dir = _existing(request.config_dir)
    number = current_number(config_dir)
    current = None if number is None else read_generation(config_dir, number)
    drift = [
        Drift(file=config_dir / name, fact=f"a file put there by hand, not the link to {link_target(name)}")
        for name in plain_files(config_dir)
    ]
    if current:
        drift += [
            Drift(file=config_dir / CURRENT_LINK / name, fact="edited or removed by hand")
            for name in edited_files(config_dir, current)
        ]
        drift += [
            Drift(file=config_dir / name, fact=f"the link to {link_target(name)} is missing")
            for name in missing_links(config_dir)
        ]
    return StatusResult(
        config_dir=config_dir,
        current=current,
        generations=generation_numbers(config_dir),
        drift=tuple(drift),
    )


def rollback(
    request: RollbackRequest, *, on_wait: OnWait = ignore_wait, disk: Disk = _LOCAL_DISK
) -> RollbackResult:
    """Make an earlier generation current again, or a later one after a rollback; all files at once.

    Raises:
        RequestError: there is no such generation.
        WorldError: CONFIG_DIR can't be locked or written, or the generation is damaged.
    """
    config_dir = _existing(request.config_dir)
    _target(config_dir, request.to)
    holder = current_holder(request.command, request.now)
    with exclusive(config_dir, timeout=request.lock_timeout, holder=holder, on_wait=on_wait, disk=disk):
        clear_leftovers(config_dir, disk)
        previous, target = _target(config_dir, request.to)
        generation = read_generation(config_dir, target)
        edited = edited_files(config_dir, generation)
        warnings = _check_complete(config_dir, generation, edited)
        if target != previous:
            switch_to(config_dir, target, disk)
        aside = tuple(set_aside(config_dir, name, disk) for name in plain_files(config_dir))
        make_links(config_dir, CONFIG_FILES, disk)
    return RollbackResult(
        config_dir=config_dir,
        changed=target != previous or bool(aside),
        generation=generation,
        previous=previous,
        set_aside=aside,
        warnings=warnings,
    )


def _existing(config_dir: Path) -> Path:
    if not config_dir.is_dir():
        found = "not a directory" if config_dir.exists() else "no such directory"
        raise RequestError(f"{config_dir}: {found}; nothing has been applied to it")
    return config_dir


def _target(config_dir: Path, wanted: int | None) -> tuple[int, int]:
    """The current generation and the one to go to."""
    current, kept = current_number(config_dir), generation_numbers(config_dir)
    if current is None:
        raise RequestError(f"{config_dir}: nothing has been applied yet, so there is nothing to roll back")
    listed = ", ".join(map(str, kept)) or "none"
    if wanted is not None:
        if wanted not in kept:
            raise RequestError(f"{config_dir}: there is no generation {wanted}; there are {listed}")
        return current, wanted
    earlier = [number for number in kept if number < current]
    if not earlier:
        raise RequestError(
            f"{config_dir}: there is no generation before {current}, the current one; there are {listed}"
        )
    return current, earlier[-1]


def _check_complete(config_dir: Path, generation: Generation, edited: tuple[str, ...]) -> tuple[Problem, ...]:
    """A warning for each edited file of a generation; it can't be used when one is missing."""
    directory = generation_path(config_dir, generation.number)
    missing = [name for name in CONFIG_FILES if not (directory / name).is_file()]
    if missing:
        raise ConfigDirError(f"{directory}: {', '.join(missing)} missing; choose another generation")
    expected = f"the content generation {generation.number} was written with"
    return tuple(
        Problem(Place(str(directory / name)), "", expected, "an edit by hand", severity=Severity.WARNING)
        for name in edited
    )
