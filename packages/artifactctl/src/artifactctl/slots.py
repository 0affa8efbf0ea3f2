"""A runtime config as one flat, ordered table: what stands under which key (contract §10).

Merging knows nothing of files. Each thing that can be owned, replaced or removed has a `Slot`, a tuple that
says its kind and its key, and holds the node that stands in the file:

    ("functions", NAME)                     ("routes", METHOD, PATH)        ("images", KEY)
    ("defaults", "environment", VARIABLE)   ("defaults", "scaling", KEY)    ("defaults", OTHER)
    ("resources", LIST, KEY)                ("lists", LIST)                 ("settings", FILE, KEY)

`lists` are lists of resources.yml this version doesn't know, kept whole; `settings` are the keys beside all
of these (`push_target`). `to_slots` and `to_files` are inverse to each other, apart from empty containers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from artifact_contract.config_files import (
    FUNCTIONS_FILE,
    IMAGE_IMPORT_FILE,
    RESOURCE_KEYS,
    RESOURCES_FILE,
    ROUTING_FILE,
)
from artifact_contract.nodes import Mapping as MappingNode
from artifact_contract.nodes import Node, Scalar, Sequence, as_text, from_python
from attrs import frozen

Slot: TypeAlias = tuple[str, ...]
Slots: TypeAlias = Mapping[Slot, Node]
Files: TypeAlias = Mapping[str, Node]

FUNCTIONS, DEFAULTS, ROUTES, RESOURCES, LISTS, IMAGES, SETTINGS = (
    "functions",
    "defaults",
    "routes",
    "resources",
    "lists",
    "images",
    "settings",
)
KINDS = (FUNCTIONS, DEFAULTS, ROUTES, RESOURCES, LISTS, IMAGES, SETTINGS)

FILE_OF: Mapping[str, str] = MappingProxyType(
    {
        FUNCTIONS: FUNCTIONS_FILE,
        DEFAULTS: FUNCTIONS_FILE,
        ROUTES: ROUTING_FILE,
        RESOURCES: RESOURCES_FILE,
        LISTS: RESOURCES_FILE,
        IMAGES: IMAGE_IMPORT_FILE,
    }
)
# Defaults that are filled key by key; every other default is one slot (§10).
_DEFAULT_MAPS = ("environment", "scaling")
# The method of something in `routes` that has no path and therefore no key; no route has it.
_NO_METHOD = ""
# What image-import.json says when nobody says anything: not a slot, nobody's.
_IMAGE_IMPORT: Mapping[str, Node] = MappingProxyType(
    {"version": from_python("1"), "push_target": from_python("")}
)


def label(slot: Slot) -> str:
    """A slot as a person reads it, without its kind: `GET /orders`, `environment/LOG_LEVEL`."""
    kind, *key = slot
    return (" " if kind == ROUTES else "/").join(key)


def slot_file(slot: Slot) -> str:
    """The file a slot stands in."""
    return slot[1] if slot[0] == SETTINGS else FILE_OF[slot[0]]


@frozen
class Table:
    """The slots of some files; `repeated` are those given more than once, of which the last counts."""

    slots: Slots
    repeated: tuple[Slot, ...] = ()


def to_slots(files: Files, *, keep_keyless: bool = False) -> Table:
    """The table of these files' nodes, which are valid by the contract's models, in their order.

    A route without a path has no key and is left out; `keep_keyless` gives it a slot that nothing else can
    have.
    """
    slots: dict[Slot, Node] = {}
    repeated: dict[Slot, None] = {}
    for slot, node in _all(files):
        if slot[0] == ROUTES and slot[1] == _NO_METHOD and not keep_keyless:
            continue
        if slot in slots:
            repeated[slot] = None
        slots[slot] = node
    return Table(slots, tuple(repeated))


def _all(files: Files) -> Iterator[tuple[Slot, Node]]:
    if FUNCTIONS_FILE in files:
        yield from _functions(files[FUNCTIONS_FILE])
    if ROUTING_FILE in files:
        yield from _routing(files[ROUTING_FILE])
    if RESOURCES_FILE in files:
        yield from _resources(files[RESOURCES_FILE])
    if IMAGE_IMPORT_FILE in files:
        yield from _images(files[IMAGE_IMPORT_FILE])


def _functions(root: Node) -> Iterator[tuple[Slot, Node]]:
    for key, value in _items(root):
        if key == "functions":
            yield from (((FUNCTIONS, name), function) for name, function in _items(value))
        elif key == "defaults":
            for name, default in _items(value):
                if name in _DEFAULT_MAPS:
                    yield from (((DEFAULTS, name, inner), node) for inner, node in _items(default))
                else:
                    yield (DEFAULTS, name), default
        else:
            yield (SETTINGS, FUNCTIONS_FILE, key), value


def _routing(root: Node) -> Iterator[tuple[Slot, Node]]:
    for key, value in _items(root):
        if key != "routes":
            yield (SETTINGS, ROUTING_FILE, key), value
            continue
        for index, route in enumerate(_elements(value)):
            path, method = _text(route, "path"), _text(route, "method")
            slot = (method.upper() or "GET", path) if path else (_NO_METHOD, str(index))
            yield (ROUTES, *slot), route


def _resources(root: Node) -> Iterator[tuple[Slot, Node]]:
    for key, value in _items(root):
        if key != "resources":
            yield (SETTINGS, RESOURCES_FILE, key), value
            continue
        for name, resources in _items(value):
            if name not in RESOURCE_KEYS:
                yield (LISTS, name), resources
                continue
            for resource in _elements(resources):
                yield (RESOURCES, name, _text(resource, RESOURCE_KEYS[name])), resource


def _images(root: Node) -> Iterator[tuple[Slot, Node]]:
    for key, value in _items(root):
        if key != "images":
            if _IMAGE_IMPORT.get(key) != value:
                yield (SETTINGS, IMAGE_IMPORT_FILE, key), value
            continue
        for image in _elements(value):
            source_and_ref = f"{_text(image, 'image_source')}|{_text(image, 'image_ref')}"
            yield (IMAGES, _text(image, "function_name") or source_and_ref), image


def to_files(slots: Slots) -> dict[str, MappingNode]:
    """The four files that hold exactly these slots; images are sorted by their key (§10)."""
    by_kind: dict[str, dict[Slot, Node]] = {kind: {} for kind in KINDS}
    for slot, node in slots.items():
        by_kind[slot[0]][slot] = node
    images = by_kind[IMAGES]
    roots: dict[str, dict[str, Node]] = {
        FUNCTIONS_FILE: {
            **_defaults(by_kind[DEFAULTS]),
            "functions": MappingNode({slot[1]: node for slot, node in by_kind[FUNCTIONS].items()}),
        },
        ROUTING_FILE: {"routes": Sequence(list(by_kind[ROUTES].values()))},
        RESOURCES_FILE: {"resources": _resource_lists(by_kind)},
        IMAGE_IMPORT_FILE: {
            **_IMAGE_IMPORT,
            "images": Sequence([images[slot] for slot in sorted(images)]),
        },
    }
    for (_, file, key), node in by_kind[SETTINGS].items():
        roots[file][key] = node
    return {file: MappingNode(root) for file, root in roots.items()}


def _defaults(slots: Slots) -> dict[str, Node]:
    defaults: dict[str, Node] = {}
    for (_, name, *inner), node in slots.items():
        if not inner:
            defaults[name] = node
            continue
        group = defaults.setdefault(name, MappingNode())
        if isinstance(group, MappingNode):
            group.items[inner[0]] = node
    return {"defaults": MappingNode(defaults)} if defaults else {}


def _resource_lists(by_kind: Mapping[str, Slots]) -> MappingNode:
    lists: dict[str, Node] = {}
    for slot, node in by_kind[RESOURCES].items():
        group = lists.setdefault(slot[1], Sequence())
        if isinstance(group, Sequence):
            group.items.append(node)
    return MappingNode({**lists, **{slot[1]: node for slot, node in by_kind[LISTS].items()}})


def _items(node: Node) -> Iterator[tuple[str, Node]]:
    return iter(node.items.items() if isinstance(node, MappingNode) else ())


def _elements(node: Node) -> list[Node]:
    return node.items if isinstance(node, Sequence) else []


def _text(node: Node, key: str) -> str:
    value = node.items.get(key) if isinstance(node, MappingNode) else None
    return as_text(value) if isinstance(value, Scalar) else ""
