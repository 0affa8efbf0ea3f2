"""What stands in CONFIG_DIR: generations, which one is current, what a person put beside them (contract §11).

    CONFIG_DIR/current -> generations/000002    the one link that switches everything
    CONFIG_DIR/generations/000002/              the four files, ownership.json, generation.json; never changed
    CONFIG_DIR/functions.yml -> current/functions.yml   and the other three; made once

Reading only; `publishing` writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from artifact_contract.config_files import CONFIG_FILES
from artifact_contract.digests import file_digest
from artifact_contract.loader import CURRENT_LINK, current_generation
from attrs import asdict, field, frozen

from artifactctl.errors import ConfigDirError
from artifactctl.ownership import OWNERSHIP_FILE

GENERATIONS = "generations"
GENERATION_FILE = "generation.json"
# Whatever a writer leaves behind when it is killed starts like this.
TEMPORARY = ".tmp-"
_VERSION = 1
_NUMBER = re.compile(r"[0-9]{6,18}")


@frozen
class AppliedEntry:
    """An entry that a generation was made from."""

    id: str
    ref: str


@frozen(kw_only=True)
class Generation:
    """One state of CONFIG_DIR and where it comes from; `applied_at` is RFC 3339, `files` are digests by name.

    `adopted`: files that a person had put in place, taken over as they were; project and entries are empty
    then.
    """

    number: int
    applied_at: str
    tool: str
    project: str = ""
    env: str = ""
    entries: tuple[AppliedEntry, ...] = ()
    adopted: bool = False
    files: Mapping[str, str] = field(factory=dict)


def dump_generation(generation: Generation) -> bytes:
    """The text of `generation.json`."""
    return (json.dumps({"version": _VERSION, **asdict(generation)}, indent=2) + "\n").encode()


def parse_generation(data: bytes) -> Generation:
    """The generation in a `generation.json`.

    Raises:
        ValueError: it is not one; says what is wrong with it.
    """
    try:
        root = json.loads(data)
        if root["version"] != _VERSION:
            raise ValueError(f"version {root['version']!r}, this tool reads {_VERSION}")
        return Generation(
            number=int(root["number"]),
            applied_at=str(root["applied_at"]),
            tool=str(root["tool"]),
            project=str(root["project"]),
            env=str(root["env"]),
            entries=tuple(AppliedEntry(str(each["id"]), str(each["ref"])) for each in root["entries"]),
            adopted=bool(root["adopted"]),
            files={str(name): str(digest) for name, digest in root["files"].items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it lacks or misuses {error}") from error


def generation_name(number: int) -> str:
    """The directory of a generation below `generations`."""
    return f"{number:06d}"


def generation_path(config_dir: Path, number: int) -> Path:
    """Where a generation's files are."""
    return config_dir / GENERATIONS / generation_name(number)


def generation_numbers(config_dir: Path) -> tuple[int, ...]:
    """The numbers of all generations kept, ascending.

    Raises:
        OSError: the directory can't be read.
    """
    try:
        names = [path.name for path in (config_dir / GENERATIONS).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(int(name) for name in names if _NUMBER.fullmatch(name)))


def current_number(config_dir: Path) -> int | None:
    """The number of the current generation; None when nothing has been applied.

    Raises:
        ConfigDirError: `current` is there and isn't the link an apply makes.
    """
    name = current_generation(config_dir)
    if name is not None and _NUMBER.fullmatch(name):
        return int(name)
    link = config_dir / CURRENT_LINK
    if name is None and not link.exists():
        return None
    found = f"a link to {name}" if name is not None else "something else"
    raise ConfigDirError(
        f"{link}: expected a link to {GENERATIONS}/<number>, found {found}; "
        "remove it, or point it at one of the generations"
    )


def read_generation(config_dir: Path, number: int) -> Generation:
    """What a generation's `generation.json` says.

    Raises:
        ConfigDirError: it is missing or damaged.
    """
    path = generation_path(config_dir, number) / GENERATION_FILE
    try:
        return parse_generation(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigDirError(f"{path}: not readable as a generation: {_fact(error)}") from error


def edited_files(config_dir: Path, generation: Generation) -> tuple[str, ...]:
    """The files of a generation that no longer have the content it was written with; a missing one counts."""
    directory = generation_path(config_dir, generation.number)
    return tuple(
        name
        for name in (*CONFIG_FILES, OWNERSHIP_FILE)
        if name in generation.files and _digest(directory / name) != generation.files[name]
    )


def plain_files(config_dir: Path) -> tuple[str, ...]:
    """The config files at the top of CONFIG_DIR that are no links of an apply: a person put them there."""
    return tuple(
        name for name in CONFIG_FILES if not is_own_link(config_dir, name) and (config_dir / name).exists()
    )


def missing_links(config_dir: Path) -> tuple[str, ...]:
    """The config files that are neither links nor anything else at the top of CONFIG_DIR."""
    return tuple(
        name
        for name in CONFIG_FILES
        if not is_own_link(config_dir, name) and not (config_dir / name).exists()
    )


def is_own_link(config_dir: Path, name: str) -> bool:
    """Whether a file at the top of CONFIG_DIR is the link through `current` that an apply makes."""
    path = config_dir / name
    return path.is_symlink() and str(path.readlink()) == link_target(name)


def link_target(name: str) -> str:
    """What the link of a config file says."""
    return f"{CURRENT_LINK}/{name}"


def _digest(path: Path) -> str:
    try:
        return file_digest(path.read_bytes())
    except OSError:
        return ""


def _fact(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
