"""Readers of single fields of the runtime config: a node to a value, or a problem and None (contract §9)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import define, field

from artifact_contract.config_types import NO_TEXTS
from artifact_contract.errors import Kind, Problem, Severity
from artifact_contract.nodes import (
    BOOLEANS,
    Node,
    PlainValue,
    Scalar,
    Sequence,
    Step,
    as_text,
    describe,
    field_text,
    is_null,
    plain_python,
    quote,
)
from artifact_contract.nodes import Mapping as MappingNode
from artifact_contract.parsed import Places

FieldPath: TypeAlias = tuple[Step, ...]
FieldReader: TypeAlias = Callable[["Check", Node, FieldPath, str], Any]

_WHOLE = re.compile(r"[0-9]{1,18}\Z")
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?\Z")


@define
class Check:
    """What has been found wrong so far in one file."""

    places: Places
    problems: list[Problem] = field(factory=list)
    reported: set[str] = field(factory=set)

    def report(
        self,
        path: FieldPath,
        expected: str,
        found: str,
        severity: Severity = Severity.ERROR,
        kind: Kind = Kind.SCHEMA,
        *,
        hint: str = "",
    ) -> None:
        """Note a problem with the value at `path`."""
        name = field_text(path)
        self.reported.add(name)
        self.problems.append(Problem(self.places.of(path), name, expected, found, hint, severity, kind))

    def missing(self, path: FieldPath, expected: str, severity: Severity = Severity.ERROR) -> None:
        """Note that there is no value at `path`, unless what stands there was found wrong already."""
        if field_text(path) not in self.reported:
            self.report(path, expected, "nothing", severity)

    def mapping(self, node: Node | None, path: FieldPath) -> Mapping[str, Node]:
        """The items of a mapping; none for a null or nothing."""
        if isinstance(node, MappingNode):
            return node.items
        if node is not None and not is_null(node):
            self.report(path, "a mapping", describe(node))
        return {}

    def sequence(self, node: Node | None, path: FieldPath) -> list[Node]:
        """The items of a list; none for a null or nothing."""
        if isinstance(node, Sequence):
            return node.items
        if node is not None and not is_null(node):
            self.report(path, "a list", describe(node))
        return []


def read_fields(
    check: Check, node: Node, path: FieldPath, readers: Mapping[str, FieldReader]
) -> dict[str, Any]:
    """The fields of a mapping by name, those without a reader as plain values in `extra`; no nulls."""
    values: dict[str, Any] = {}
    extra: dict[str, PlainValue] = {}
    for key, item in check.mapping(node, path).items():
        reader = readers.get(key)
        if reader is None:
            extra[key] = plain_python(item)
            continue
        value = reader(check, item, path, key)
        if value is not None:
            values[key] = value
    if extra:
        values["extra"] = extra
    return values


def text(check: Check, node: Node, path: FieldPath, key: str) -> str | None:
    """A text; None when there is none."""
    if type(node) is Scalar:
        return as_text(node) or None
    check.report((*path, key), "a text", describe(node))
    return None


def whole(check: Check, node: Node, path: FieldPath, key: str) -> int | None:
    """A whole number from 0."""
    if type(node) is Scalar:
        if _WHOLE.match(node.text):
            return int(node.text)
        if is_null(node):
            return None
        value = _as_number(node)
        if value is not None and value == int(value):
            return int(value)
    check.report((*path, key), "a whole number from 0", describe(node))
    return None


def switch(check: Check, node: Node, path: FieldPath, key: str) -> bool | None:
    """`true` or `false`, quoted or not; a null is nothing."""
    if type(node) is Scalar:
        if is_null(node):
            return None
        if node.text in BOOLEANS:
            return BOOLEANS[node.text]
    check.report((*path, key), "true or false", describe(node))
    return None


def within(least: int, most: int) -> FieldReader:
    """A reader of whole numbers of a range, both ends in it."""

    def read(check: Check, node: Node, path: FieldPath, key: str) -> int | None:
        value = whole(check, node, path, key)
        if value is not None and not least <= value <= most:
            check.report((*path, key), f"a whole number from {least} to {most}", str(value))
        return value

    return read


def one_of(*choices: str) -> FieldReader:
    """A reader of one of a few words, as they are written here."""

    def read(check: Check, node: Node, path: FieldPath, key: str) -> str | None:
        value = text(check, node, path, key)
        if value is not None and value not in choices:
            check.report((*path, key), f"{', '.join(choices[:-1])} or {choices[-1]}", quote(value))
        return value

    return read


def of_form(form: re.Pattern[str], expected: str) -> FieldReader:
    """A reader of texts that match a pattern as a whole."""

    def read(check: Check, node: Node, path: FieldPath, key: str) -> str | None:
        value = text(check, node, path, key)
        if value is not None and not form.fullmatch(value):
            check.report((*path, key), expected, quote(value))
        return value

    return read


def positive(check: Check, node: Node, path: FieldPath, key: str) -> int | None:
    """A whole number from 1."""
    value = whole(check, node, path, key)
    if value == 0:
        check.report((*path, key), "a whole number from 1", "0")
    return value


def seconds(check: Check, node: Node, path: FieldPath, key: str) -> float | None:
    """A number of seconds from 0."""
    if type(node) is Scalar:
        value = _as_number(node)
        if value is not None:
            return value
        if is_null(node):
            return None
    check.report((*path, key), "a number of seconds from 0", describe(node))
    return None


def _as_number(node: Scalar) -> float | None:
    if _NUMBER.match(node.text):
        value = float(node.text)
        return value if value < float("inf") else None
    resolved = plain_python(node)
    is_number = isinstance(resolved, (int, float)) and not isinstance(resolved, bool)
    return float(resolved) if is_number and 0 <= resolved < float("inf") else None  # type: ignore[arg-type, operator] # is_number says so


def texts(check: Check, node: Node, path: FieldPath, key: str) -> Mapping[str, str] | None:
    """Texts by name, as an environment is."""
    values: dict[str, str] = {}
    for name, item in check.mapping(node, (*path, key)).items():
        if type(item) is Scalar and "\0" not in item.text:
            values[name] = as_text(item)
        else:
            found = "a NUL character" if isinstance(item, Scalar) else describe(item)
            check.report((*path, key, name), "a text", found)
        if not name or "=" in name or "\0" in name:
            check.report((*path, key, name), "a name without =", quote(name))
    return values or NO_TEXTS


def text_list(check: Check, node: Node, path: FieldPath, key: str) -> tuple[str, ...] | None:
    """A list of texts."""
    values = []
    for index, item in enumerate(check.sequence(node, (*path, key))):
        if isinstance(item, Scalar) and as_text(item):
            values.append(as_text(item))
        else:
            check.report((*path, key, index), "a text", describe(item))
    return tuple(values) or None
