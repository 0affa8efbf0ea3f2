"""The four files of a runtime config: bytes to valid nodes and back (contract §9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from artifact_contract.codec import Reader, dump_json, dump_yaml, read_json, read_json_places, read_yaml
from artifact_contract.config_files import (
    CONFIG_FILES,
    FUNCTIONS_FILE,
    IMAGE_IMPORT_FILE,
    RESOURCES_FILE,
    ROUTING_FILE,
)
from artifact_contract.errors import ArtifactError, Problem, error_for
from artifact_contract.nodes import Node
from artifact_contract.parsed import Parsed, parse_located
from artifact_contract.runtime_config import (
    structure_functions,
    structure_image_import,
    structure_resources,
    structure_routing,
)

from artifactctl.slots import Slots, to_files

Structure: TypeAlias = Callable[[Node, str], Parsed[Any]]

_STRUCTURES: Mapping[str, Structure] = MappingProxyType(
    {
        FUNCTIONS_FILE: structure_functions,
        ROUTING_FILE: structure_routing,
        RESOURCES_FILE: structure_resources,
        IMAGE_IMPORT_FILE: structure_image_import,
    }
)


def parse_files(files: Mapping[str, bytes], directory: Path, reader: Reader) -> Parsed[dict[str, Node]]:
    """The nodes of these files, accepted by the contract's models; messages say they are in `directory`.

    Raises:
        ArtifactError: a file breaks the contract; has the problems of all files.
    """
    nodes: dict[str, Node] = {}
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for name in CONFIG_FILES:
        if name not in files:
            continue
        readers = (read_json, read_json_places) if name == IMAGE_IMPORT_FILE else (reader, read_yaml)
        try:
            parsed = parse_located(files[name], str(directory / name), _checked(_STRUCTURES[name]), readers)
        except ArtifactError as error:
            problems += error.problems
            warnings += error.warnings
        else:
            nodes[name] = parsed.value
            warnings += parsed.warnings
    if problems:
        raise error_for(problems, warnings)
    return Parsed(nodes, tuple(warnings))


def read_files(files: Mapping[str, bytes], directory: Path, reader: Reader) -> dict[str, Node]:
    """The nodes of files that are known to be valid: this tool wrote them, and nobody has changed them.

    Raises:
        ArtifactError: a file can't be read.
    """
    return {
        name: (read_json if name == IMAGE_IMPORT_FILE else reader)(data, str(directory / name))
        for name, data in files.items()
    }


def _checked(structure: Structure) -> Callable[[Node, str], Parsed[Node]]:
    """The nodes themselves, once the model has accepted them: merging keeps texts, models don't."""

    def check(node: Node, file: str) -> Parsed[Node]:
        return Parsed(node, structure(node, file).warnings)

    return check


def dump_files(slots: Slots) -> dict[str, bytes]:
    """The bytes of all four files that hold exactly these slots."""
    return {
        name: (dump_json(root) if name == IMAGE_IMPORT_FILE else dump_yaml(root)).encode()
        for name, root in to_files(slots).items()
    }
