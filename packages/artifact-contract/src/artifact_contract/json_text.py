"""JSON to nodes and back (contract §9): a number keeps its text, a key may stand once only."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from artifact_contract.errors import Place, Problem, SchemaError
from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, describe, plain_python

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")


def parse_json(text: str, file: str) -> Mapping:
    """The nodes of a JSON object.

    Raises:
        SchemaError: the text isn't one, or a key is there twice.
    """
    duplicates: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> Mapping:
        result = {_unicode(key): _node(value) for key, value in items}
        if len(result) != len(items):
            keys = [key for key, _ in items]
            duplicates.extend(key for key in result if keys.count(key) > 1)
        return Mapping(result)

    try:
        root = _node(
            json.loads(
                text,
                object_pairs_hook=pairs,
                parse_int=Scalar,
                parse_float=Scalar,
                parse_constant=_no_constant,
            )
        )
    except json.JSONDecodeError as error:
        raise _rejected(
            Place(file, error.lineno, error.colno), "JSON", "a syntax error", error.msg
        ) from error
    except RecursionError as error:
        raise _rejected(Place(file), "JSON of a few levels", "deeper nesting") from error
    except _NoJsonError as error:
        raise _rejected(Place(file), "JSON", str(error)) from error
    if duplicates:
        raise SchemaError([Problem(Place(file), key, "each key once", "it again") for key in duplicates])
    if not isinstance(root, Mapping):
        raise _rejected(Place(file), "an object", describe(root))
    return root


class _NoJsonError(Exception):
    """A word that Python's reader takes and JSON doesn't have."""


def _no_constant(name: str) -> NoReturn:
    raise _NoJsonError(name)


def _rejected(place: Place, expected: str, found: str, hint: str = "") -> SchemaError:
    return SchemaError([Problem(place, "", expected, found, hint)])


def _node(value: Any) -> Node:
    if isinstance(value, str):
        return Scalar(_unicode(value), plain=False)
    if isinstance(value, list):
        return Sequence([_node(item) for item in value])
    if isinstance(value, (Scalar, Mapping, Sequence)):
        return value
    return Scalar("null" if value is None else "true" if value else "false")


def _unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _NoJsonError("half of a surrogate pair") from error
    return text


def emit_json(node: Node, indent: str = "") -> str:
    """The JSON text of nodes.

    Raises:
        ValueError: a number has no JSON form.
    """
    inner = indent + "  "
    if isinstance(node, Scalar):
        return _scalar(node)
    if not node.items:
        return "{}" if isinstance(node, Mapping) else "[]"
    if isinstance(node, Mapping):
        lines = [f"{inner}{_text(key)}: {emit_json(value, inner)}" for key, value in node.items.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + emit_json(item, inner) for item in node.items) + f"\n{indent}]"


def _scalar(node: Scalar) -> str:
    if not node.plain:
        return _text(node.text)
    if _NUMBER.match(node.text):
        return node.text
    value = plain_python(node)
    return _text(node.text) if isinstance(value, str) else json.dumps(value, allow_nan=False)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
