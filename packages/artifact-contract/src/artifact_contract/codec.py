"""Bytes to nodes and back: the one dialect of YAML and JSON used here (contract §3, §9, §10).

UTF-8, with or without a byte order mark, LF or CRLF; one document; no tags. Limits keep the time bounded:
64 MiB a file, 1 MiB when it isn't simple (`yaml_lines`). A `Reader` is a function, so that a tool with much
to read can bring a faster one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from artifact_contract.errors import Place, Problem, SchemaError
from artifact_contract.json_text import emit_json, parse_json
from artifact_contract.nodes import Mapping, Node, describe
from artifact_contract.yaml_emit import emit
from artifact_contract.yaml_events import compose
from artifact_contract.yaml_lines import NotSimpleError, read_simple

Reader: TypeAlias = Callable[[bytes, str], Node]

MAX_BYTES = 64 * 1024 * 1024
MAX_GENERAL = 1024 * 1024
MAX_JSON_PLACES = 128 * 1024


def read_yaml(data: bytes, file: str) -> Node:
    """The nodes of a YAML file, each with its place; `file` is its name in messages.

    Raises:
        SchemaError: the file isn't one mapping in the dialect described above.
    """
    text = _decode(data, file)
    try:
        return read_simple(text)
    except NotSimpleError as odd:
        if len(text) > MAX_GENERAL:
            limit = f"simple YAML in a file over {MAX_GENERAL >> 20} MiB"
            hint = "block style, one value a line, no comments behind values"
            raise _rejected(Place(file, odd.line), limit, "something else", hint) from None
    return compose(text, file)


def read_json(data: bytes, file: str) -> Node:
    """The nodes of a JSON file, numbers as their text, without places.

    Raises:
        SchemaError: the file isn't one object, or a key is there twice.
    """
    return parse_json(_decode(data, file), file)


def read_json_places(data: bytes, file: str) -> Node:
    """As `read_json`, with places where they can be had quickly: JSON is nearly always YAML too.

    Raises:
        SchemaError: as `read_json`.
    """
    # first, because YAML takes much that isn't JSON
    node = read_json(data, file)
    if len(data) > MAX_JSON_PLACES:
        return node
    try:
        return read_yaml(data, file)
    except SchemaError:
        return node


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise _rejected(Place(file), f"at most {MAX_BYTES >> 20} MiB", f"{len(data) >> 20} MiB")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        found = f"the byte 0x{data[error.start]:02x}"
        raise _rejected(Place(file, line, column), "UTF-8 text", found) from error
    return text.removeprefix("\ufeff")


def _rejected(place: Place, expected: str, found: str, hint: str = "") -> SchemaError:
    return SchemaError([Problem(place, "", expected, found, hint)])


def dump_yaml(node: Node) -> str:
    """The YAML text of a mapping; reading it again gives the same nodes.

    Raises:
        TypeError: the node isn't a mapping.
    """
    if not isinstance(node, Mapping):
        raise TypeError(f"a file is a mapping, not {describe(node)}")
    return emit(node)


def dump_json(node: Node) -> str:
    """The JSON text of nodes, indented by two, keys in their order; a number is written as its text.

    Raises:
        ValueError: a number has no JSON form (`.inf`).
    """
    return emit_json(node) + "\n"
