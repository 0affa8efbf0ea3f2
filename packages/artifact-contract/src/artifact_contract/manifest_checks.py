"""What is checked on a manifest's nodes rather than on its model (contract §3, §4).

These rules hold for each entry by itself, so they are also checked when another field is wrong and no
model exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from artifact_contract.digests import parse_sha256
from artifact_contract.errors import FieldError, Problem, Severity
from artifact_contract.ids import entry_id
from artifact_contract.models import (
    Entry,
    Generator,
    Manifest,
    RuntimeHooks,
    RuntimeMeta,
    SourceTemplate,
    TemplateRenderer,
    check_entry_id,
    check_unused,
)
from artifact_contract.nodes import Mapping as MappingNode
from artifact_contract.nodes import Node, Scalar, Sequence, Step, as_text, field_text, quote
from artifact_contract.parsed import Places, child

_INNER: Mapping[tuple[type, str], type[Any]] = MappingProxyType(
    {
        (Manifest, "generator"): Generator,
        (Manifest, "artifacts"): Entry,
        (Entry, "source_template"): SourceTemplate,
        (Entry, "runtime_meta"): RuntimeMeta,
        (RuntimeMeta, "runtime_hooks"): RuntimeHooks,
        (RuntimeMeta, "template_renderer"): TemplateRenderer,
    }
)
_RFC3339 = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def check_manifest(root: Node, places: Places) -> list[Problem]:
    """Unknown keys, ids that are wrong or used twice, digests and times that aren't ones."""
    problems = [*_unknown_keys(root, Manifest, (), places), *_time(root, places)]
    first_use: dict[str, int] = {}
    for index, entry in enumerate(_elements(child(root, "artifacts"))):
        problems += _entry(entry, index, places)
        written = _text(entry, "id")
        if written:
            first = first_use.setdefault(written, index)
            problems += _broken(lambda: check_unused(written, index, first), (), places)  # noqa: B023 - called at once
    return problems


def _elements(node: Node | None) -> list[Node]:
    return node.items if isinstance(node, Sequence) else []


def _text(node: Node | None, *path: Step) -> str:
    for step in path:
        node = child(node, step) if node is not None else None
    return as_text(node) if isinstance(node, Scalar) else ""


def _unknown_keys(node: Node, kind: type[Any], path: tuple[Step, ...], places: Places) -> Iterator[Problem]:
    if not isinstance(node, MappingNode):
        return
    known = [each.name for each in attrs.fields(kind)]
    for key, value in node.items.items():
        full = (*path, key)
        if key not in known:
            expected = f"one of {', '.join(known)}"
            yield Problem(places.key(full), field_text(full), expected, "an unknown key", "", Severity.STRICT)
        inner = _INNER.get((kind, key))
        if inner and isinstance(value, Sequence):
            for index, item in enumerate(value.items):
                yield from _unknown_keys(item, inner, (*full, index), places)
        elif inner:
            yield from _unknown_keys(value, inner, full, places)


def _time(root: Node, places: Places) -> Iterator[Problem]:
    text = _text(root, "generated_at")
    if text and not _RFC3339.fullmatch(text):
        expected = "an RFC 3339 time like 2026-01-31T12:00:00Z"
        yield Problem(
            places.of(("generated_at",)), "generated_at", expected, quote(text), "", Severity.WARNING
        )


def _entry(entry: Node, index: int, places: Places) -> Iterator[Problem]:
    path: tuple[Step, ...] = ("artifacts", index)
    template = child(entry, "source_template")
    digest = _text(template, "sha256").strip()
    if digest:
        full = (*path, "source_template", "sha256")
        yield from _broken(lambda: parse_sha256(digest), full, places, Severity.STRICT)
    written, source, parameters = _text(entry, "id"), _text(template, "path"), _parameters(template)
    if written and source.strip() and parameters is not None:
        recomputed = entry_id(source, parameters, digest)
        yield from _broken(lambda: check_entry_id(written, recomputed), path, places)


def _broken(
    check: Callable[[], object],
    path: tuple[Step, ...],
    places: Places,
    severity: Severity = Severity.ERROR,
) -> Iterator[Problem]:
    """What a check says about the value at `path`."""
    try:
        check()
    except FieldError as error:
        full = (*path, *error.path)
        yield error.at(places.of(full), field_text(full), severity)


def _parameters(template: Node | None) -> dict[str, str] | None:
    """The parameters' texts; None when one of them has none, so that no id can be computed."""
    node = child(template, "parameters") if template is not None else None
    if not isinstance(node, MappingNode):
        return None if isinstance(node, Sequence) or (isinstance(node, Scalar) and as_text(node)) else {}
    texts = {key: as_text(value) for key, value in node.items.items() if isinstance(value, Scalar)}
    return texts if len(texts) == len(node.items) else None
