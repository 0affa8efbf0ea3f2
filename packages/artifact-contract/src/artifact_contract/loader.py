"""A whole runtime config from CONFIG_DIR, all four files from one generation (contract §9, §11).

CONFIG_DIR's link `current` is read once; the directory it leads to is opened, and every file comes from
there, whatever is applied meanwhile. When an old generation is cleared away during the load, the load
starts again with the new one. A directory without that link is read as it is: made by hand, or not
applied to yet.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias, TypeVar

from attrs import frozen

from artifact_contract.codec import MAX_BYTES, Reader, read_json, read_json_places, read_yaml
from artifact_contract.config_files import (
    CONFIG_FILES,
    FUNCTIONS_FILE,
    IMAGE_IMPORT_FILE,
    REQUIRED_FILES,
    RESOURCES_FILE,
    ROUTING_FILE,
)
from artifact_contract.config_sections import function_of
from artifact_contract.config_types import (
    FunctionsConfig,
    ImageImport,
    ResourcesConfig,
    RuntimeConfig,
)
from artifact_contract.environment import expand_environment, expand_functions
from artifact_contract.errors import ArtifactError, Kind, Place, Problem, SchemaError, Severity, raise_errors
from artifact_contract.nodes import Node
from artifact_contract.parsed import Parsed, parse_located
from artifact_contract.runtime_config import (
    structure_functions,
    structure_image_import,
    structure_resources,
    structure_routing,
)
from artifact_contract.tree import read_at

__all__ = [
    "CURRENT_LINK",
    "LoadedConfig",
    "current_generation",
    "expand_environment",
    "expand_functions",
    "load_runtime_config",
    "parse_config_files",
]

CURRENT_LINK = "current"
_ATTEMPTS = 20
T = TypeVar("T")
Readers: TypeAlias = tuple[Reader, Reader]


@frozen
class LoadedConfig:
    """A runtime config, the generation it is (None: plain files), and what was odd about it."""

    config: RuntimeConfig
    generation: str | None = None
    warnings: tuple[Problem, ...] = ()


def current_generation(config_dir: Path) -> str | None:
    """The name of the current generation, None if there is none; cheap enough to be asked often."""
    target = _current_target(config_dir)
    return None if target is None else Path(target).name


def _current_target(config_dir: Path) -> str | None:
    try:
        return str((config_dir / CURRENT_LINK).readlink())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # it isn't a link
            return None
        raise


def load_runtime_config(config_dir: Path, *, reader: Reader = read_yaml) -> LoadedConfig:
    """The runtime config that is current at one moment of the call; environments are not expanded yet.

    Raises:
        ArtifactError: a file is missing or wrong; has the problems of all files.
        OSError: something can't be read.
    """
    target, files = _pin(config_dir)
    directory = config_dir if target is None else config_dir / target
    parsed = parse_config_files(files, directory, reader=reader)
    generation = None if target is None else Path(target).name
    dangling = [*_dangling_routes(parsed.value, directory), *_dangling_destinations(parsed.value, directory)]
    return LoadedConfig(parsed.value, generation, (*parsed.warnings, *dangling))


def _pin(config_dir: Path) -> tuple[str | None, dict[str, bytes]]:
    """What `current` leads to and the files' bytes, all from there."""
    for _ in range(_ATTEMPTS):
        target = _current_target(config_dir)
        files = _read_files(config_dir if target is None else config_dir / target)
        # a generation is always complete: when something is missing it is being cleared away. And plain files
        # may have been replaced by links to a generation while they were read.
        settled = target is not None and len(files) == len(CONFIG_FILES)
        if settled or _current_target(config_dir) == target:
            return target, files
    expected = f"the config to stay for the time of a load ({_ATTEMPTS} attempts)"
    raise SchemaError([Problem(Place(str(config_dir)), "", expected, "another generation each time")])


def _read_files(directory: Path) -> dict[str, bytes]:
    """The files that are there; none when the directory isn't."""
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    files = {}
    try:
        for name in CONFIG_FILES:
            with suppress(FileNotFoundError):
                files[name] = read_at(name, directory / name, handle, limit=MAX_BYTES)
    finally:
        os.close(handle)
    return files


def parse_config_files(
    files: Mapping[str, bytes], directory: Path, *, reader: Reader = read_yaml
) -> Parsed[RuntimeConfig]:
    """The four files' bytes by name as one config; `directory` is where messages say they are.

    Raises:
        ArtifactError: a required file is missing or one is wrong; has the problems of all of them.
    """
    problems = [
        Problem(Place(str(directory / name)), "", "a file", "nothing", kind=Kind.PATH)
        for name in REQUIRED_FILES
        if name not in files
    ]
    yaml, json = (reader, read_yaml), (read_json, read_json_places)

    def parse(name: str, structure: Callable[[Node, str], Parsed[T]], empty: T, readers: Readers) -> T:
        if name not in files:
            return empty
        try:
            parsed = parse_located(files[name], str(directory / name), structure, readers)
        except ArtifactError as error:
            problems.extend((*error.problems, *error.warnings))
            return empty
        problems.extend(parsed.warnings)
        return parsed.value

    config = RuntimeConfig(
        parse(FUNCTIONS_FILE, structure_functions, FunctionsConfig(), yaml),
        parse(ROUTING_FILE, structure_routing, (), yaml),
        parse(RESOURCES_FILE, structure_resources, ResourcesConfig(), yaml),
        parse(IMAGE_IMPORT_FILE, structure_image_import, ImageImport(), json),
    )
    return Parsed(config, raise_errors(problems))


def _dangling_routes(config: RuntimeConfig, directory: Path) -> list[Problem]:
    """Routes to functions that don't exist: a warning, since a later apply may bring them."""
    place = Place(str(directory / ROUTING_FILE))
    return [
        Problem(
            place, f"{route.method} {route.path}", "a function", route.function, severity=Severity.WARNING
        )
        for route in config.routing
        if route.function not in config.functions.functions
    ]


def _dangling_destinations(config: RuntimeConfig, directory: Path) -> list[Problem]:
    """On-failure functions that don't exist: a warning, for the same reason."""
    place = Place(str(directory / FUNCTIONS_FILE))
    return [
        Problem(
            place,
            f"functions.{name}.async_invoke.on_failure",
            "a function",
            function.async_invoke.on_failure,
            severity=Severity.WARNING,
        )
        for name, function in config.functions.functions.items()
        if function.async_invoke and function.async_invoke.on_failure
        if function_of(function.async_invoke.on_failure) not in config.functions.functions
    ]
