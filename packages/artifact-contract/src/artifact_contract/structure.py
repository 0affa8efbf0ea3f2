"""A manifest's nodes to its model, all problems together (contract §3).

cattrs does the walking; the hooks here are strict, because by itself it turns a list into text without a
word. A null and an empty text are the same here: not given. Import this module only where a manifest is
read: cattrs takes a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar

import attrs
from cattrs import Converter
from cattrs.errors import ClassValidationError, IterableValidationError
from cattrs.gen import make_dict_structure_fn

from artifact_contract import models
from artifact_contract.errors import FieldError, Problem
from artifact_contract.ids import EntryId, parse_entry_id
from artifact_contract.models import Entry, Manifest, SecretName, Text
from artifact_contract.nodes import Mapping as MappingNode
from artifact_contract.nodes import Node, Scalar, Step, as_text, field_text, quote
from artifact_contract.parsed import Places
from artifact_contract.paths import RelPath, RootPath, parse_rel_path, parse_root_path

T = TypeVar("T")

_CHOICES: tuple[type[Enum], ...] = (
    models.Mode,
    models.ImagePrewarm,
    models.MergePolicy,
    models.SchemaVersion,
)


def structure_manifest(node: Node, places: Places) -> Manifest | list[Problem]:
    """The manifest, or everything that is wrong with its fields."""
    try:
        return _converter().structure(_raw(node), Manifest)
    except (ClassValidationError, IterableValidationError, FieldError) as error:
        return list(_problems(error, (), places))


def _raw(node: Node) -> object:
    """The node without places; None for what isn't given."""
    if isinstance(node, Scalar):
        return as_text(node) or None
    if isinstance(node, MappingNode):
        return {key: _raw(value) for key, value in node.items.items()}
    return [_raw(item) for item in node.items]


def _problems(error: BaseException, path: tuple[Step, ...], places: Places) -> Iterator[Problem]:
    if isinstance(error, (ClassValidationError, IterableValidationError)):
        noted, others = error.group_exceptions()
        for inner, note in noted:
            step = note.name if hasattr(note, "name") else note.index
            yield from _problems(inner, (*path, step), places)
        for inner in others:
            yield from _problems(inner, path, places)
    elif isinstance(error, FieldError):
        full = (*path, *error.path)
        yield error.at(places.of(full), field_text(full))
    else:
        raise error


@cache
def _converter() -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook_factory(attrs.has, lambda kind: _class_hook(kind, converter))
    converter.register_structure_hook(str, _optional_text)
    converter.register_structure_hook(Text, _parsed_by(models.parse_text, "a text"))
    converter.register_structure_hook(EntryId, _parsed_by(parse_entry_id, "an id like template-e2e-92eecc19"))
    converter.register_structure_hook(RelPath, _parsed_by(parse_rel_path, "a path below the artifact root"))
    converter.register_structure_hook(RootPath, _parsed_by(parse_root_path, "a path"))
    converter.register_structure_hook(SecretName, _parsed_by(models.parse_secret_name, "a name"))
    for choices in _CHOICES:
        converter.register_structure_hook(choices, _choice_hook(choices))
    _register(converter, Mapping[str, str], _texts)
    _register(converter, tuple[SecretName, ...], _list_hook(SecretName, converter, "names"))
    _register(converter, tuple[Entry, ...], _list_hook(Entry, converter, "entries"))
    return converter


def _register(converter: Converter, kind: Any, hook: Callable[[object, Any], Any]) -> None:
    # generic aliases are no classes: cattrs finds their hooks by asking
    converter.register_structure_hook_func(lambda asked: bool(asked == kind), hook)


def _found(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else quote(str(value))


def _class_hook(kind: type[Any], converter: Converter) -> Callable[[object, Any], Any]:
    structure = make_dict_structure_fn(kind, converter, _cattrs_detailed_validation=True)
    required = [each.name for each in attrs.fields(kind) if each.default is attrs.NOTHING]

    def hook(value: object, _: Any) -> Any:
        if not isinstance(value, dict):
            raise FieldError("a mapping", _found(value))
        # what is missing meets its own hook as None, which knows best what was expected there
        return structure({**dict.fromkeys(required), **value}, kind)

    return hook


def _parsed_by(parse: Callable[[str], T], expected: str) -> Callable[[object, Any], T]:
    def hook(value: object, _: Any) -> T:
        if not isinstance(value, str):
            raise FieldError(expected, _found(value))
        return parse(value)

    return hook


def _optional_text(value: object, _: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FieldError("a text", _found(value))
    return value


def _choice_hook(choices: type[Enum]) -> Callable[[object, Any], Enum]:
    expected = models.alternatives([choice.value for choice in choices])
    return _parsed_by(lambda text: models.parse_choice(choices, text), expected)


def _texts(value: object, _: Any) -> Mapping[str, str]:
    """Texts by name; every one that isn't a text is reported."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FieldError("a mapping of texts", _found(value))
    wrong = [
        FieldError("a text", _found(item), path=(key,)) for key, item in value.items() if not _is_text(item)
    ]
    if wrong:
        raise ClassValidationError("texts", wrong, dict)
    return {key: item or "" for key, item in value.items()}


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _list_hook(kind: Any, converter: Converter, what: str) -> Callable[[object, Any], tuple[Any, ...]]:
    inner: Any = list[kind]

    def hook(value: object, _: Any) -> tuple[Any, ...]:
        if value is None and kind is not Entry:
            return ()
        if not isinstance(value, list) or (kind is Entry and not value):
            least = "at least one of them" if kind is Entry else "or nothing"
            raise FieldError(f"a list of {what}, {least}", "none" if value == [] else _found(value))
        return tuple(converter.structure(value, inner))

    return hook
