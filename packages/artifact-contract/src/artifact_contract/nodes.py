"""What stands in a YAML or JSON file, before anybody decides what it means (contract §3, §10).

A scalar keeps its text and whether it was written plain: `010`, `"yes"` and `1e3` stay exactly that
through reading, merging and writing. Only `plain_python` turns text into numbers and booleans, by YAML
1.2's core schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence as AnySequence
from typing import TypeAlias, Union

from attrs import define, field

PlainValue: TypeAlias = Union[bool, int, float, str, "list[PlainValue]", "dict[str, PlainValue]", None]
Step: TypeAlias = str | int


# Not `frozen`, though nobody may change one (aliases share them): a frozen class takes four times as long to
# build, and a file has a hundred thousand of these.
@define(slots=True, unsafe_hash=True)
class Scalar:
    """A value as its text; `plain` is False for quoted and block text, which is always a string."""

    text: str
    plain: bool = True
    line: int = field(default=0, eq=False)
    column: int = field(default=0, eq=False)


@define(slots=True)
class Mapping:
    """Keys in file order; `key_marks` has the line and column of each key, where the reader knows them."""

    items: dict[str, Node] = field(factory=dict)
    line: int = field(default=0, eq=False)
    column: int = field(default=0, eq=False)
    key_marks: dict[str, tuple[int, int]] = field(factory=dict, eq=False, repr=False)


@define(slots=True)
class Sequence:
    """Elements in file order."""

    items: list[Node] = field(factory=list)
    line: int = field(default=0, eq=False)
    column: int = field(default=0, eq=False)


Node: TypeAlias = Scalar | Mapping | Sequence

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_YAML_WORDS = {
    **{"None": "null", "True": "true", "False": "false"},
    **{"inf": ".inf", "-inf": "-.inf", "nan": ".nan"},
}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL_FLOAT = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")
# What some reader of YAML 1.1 takes for something other than text, besides all of the above.
_OLD_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])
_OLD_NUMBER = re.compile(
    r"[-+]?[.0-9][-+0-9_.,:eExXoObBa-fA-F]*\Z|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?\Z"
)


def is_null(node: Node) -> bool:
    """Whether this is a null: written plain as `~`, `null` or nothing."""
    return type(node) is Scalar and node.plain and node.text in NULLS


def as_text(node: Scalar) -> str:
    """The text of a scalar; a null is the empty text (§3)."""
    return "" if node.plain and node.text in NULLS else node.text


def resolves_to_string(text: str) -> bool:
    """Whether every reader, also one of YAML 1.1, takes this text for a string when it stands unquoted."""
    if text in NULLS or text.lower() in _OLD_WORDS or text in {"=", "<<"}:
        return False
    return not (_OLD_NUMBER.match(text) or _SPECIAL_FLOAT.match(text))


def plain_python(node: Node) -> PlainValue:
    """The node as plain Python values, plain scalars resolved by YAML 1.2's core schema."""
    if isinstance(node, Scalar):
        return _resolve(node.text) if node.plain else node.text
    if isinstance(node, Mapping):
        return {key: plain_python(value) for key, value in node.items.items()}
    return [plain_python(item) for item in node.items]


def _resolve(text: str) -> PlainValue:
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    return _number(text) if text[0] in "+-.0123456789" else text


def _number(text: str) -> PlainValue:
    # int() refuses more than 4300 digits: such a text is a name that looks like a number, not a quantity
    if len(text) > 4000:
        return text
    readers = ((_INT, int), (_BASED, _based), (_SPECIAL_FLOAT, _special), (_FLOAT, float))
    return next((read(text) for form, read in readers if form.match(text)), text)


def _based(text: str) -> int:
    return int(text, 0)


def _special(text: str) -> float:
    return float(text.replace(".", "", 1))


def from_python(value: object) -> Node:
    """A node for plain Python values; a string that could be taken for something else becomes a quoted one.

    Raises:
        TypeError: a value, or a key, has no YAML form.
    """
    if isinstance(value, (Scalar, Mapping, Sequence)):
        return value
    if isinstance(value, str):
        return Scalar(value, plain=resolves_to_string(value))
    if value is None or isinstance(value, (bool, int, float)):
        return Scalar(_plain_text(value))
    if isinstance(value, AnyMapping):
        return Mapping({_key(key): from_python(item) for key, item in value.items()})
    if isinstance(value, AnySequence) and not isinstance(value, (bytes, bytearray)):
        return Sequence([from_python(item) for item in value])
    raise TypeError(f"no YAML form for {type(value).__name__}")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"no YAML key from {type(key).__name__}")
    return key


def _plain_text(value: float | None) -> str:
    text = repr(value)
    return _YAML_WORDS.get(text, text)


def mapping(**items: object) -> Mapping:
    """A mapping node from keyword arguments, in their order."""
    return Mapping({key: from_python(value) for key, value in items.items()})


def field_text(path: AnySequence[Step]) -> str:
    """A path into a file as it is shown: `artifacts[2].source_template.path`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def describe(node: Node | None) -> str:
    """What a node is, for the `found` of a message."""
    if node is None:
        return "nothing"
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    return "nothing" if is_null(node) else quote(node.text)


def quote(text: str) -> str:
    """A text for a message: quoted, on one line, cut when it is long."""
    shown = text if len(text) <= 80 else text[:77] + "..."
    return repr(shown)
