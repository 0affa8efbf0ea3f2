"""General YAML to nodes: every scalar as its text, every node with its place (contract §3).

ruamel's scanner and parser say what stands in the file; this module composes nodes from their events, so
that no resolver gets to have an opinion on `010` or `yes`. Refused, because no two readers agree on them
or because they are only ever used to do harm: several documents, tags other than the three core kinds,
duplicate keys, keys that are not scalars, nesting deeper than 64, aliases that expand to more than 100
000 nodes, more than as many nodes in all (six seconds). Merge keys (`<<`) are expanded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define, field

from artifact_contract.errors import Place, Problem, SchemaError
from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, describe
from artifact_contract.yaml_text import plain_fits

MAX_DEPTH = 64
MAX_ALIAS_NODES = 100_000
MAX_NODES = 100_000

_CORE_TAGS = {
    "ScalarEvent": "tag:yaml.org,2002:str",
    "MappingStartEvent": "tag:yaml.org,2002:map",
    "SequenceStartEvent": "tag:yaml.org,2002:seq",
}


def compose(text: str, file: str) -> Mapping:
    """The nodes of the one document in `text`.

    Raises:
        SchemaError: the text is not YAML, or uses what is refused here; duplicate keys are reported together.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - 50 ms, and most files never come here
    from ruamel.yaml.error import MarkedYAMLError  # noqa: PLC0415 - as above
    from ruamel.yaml.reader import ReaderError  # noqa: PLC0415 - as above

    try:
        composer = _Composer(file, iter(YAML(typ="safe", pure=True).parse(text)))
        return composer.document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        hint = " ".join(str(error.problem or error.context or "").split())
        raise _rejected(place, "YAML", "a syntax error", hint) from error
    except ReaderError as error:
        place = _place_of_index(text, file, error.position)
        raise _rejected(place, "printable text", f"the character U+{error.character:04X}") from error


def _rejected(place: Place, expected: str, found: str, hint: str = "") -> SchemaError:
    return SchemaError([Problem(place, "", expected, found, hint)])


def _place_of_index(text: str, file: str, index: int) -> Place:
    before = text[:index]
    return Place(file, before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)


@define
class _Composer:
    """Turns one document's events into nodes; `events` are ruamel's, which has no types for them."""

    file: str
    events: Iterator[Any]
    anchors: dict[str, tuple[Node, int] | None] = field(factory=dict)
    alias_nodes: int = 0
    read: int = 0
    count: int = 0
    problems: list[Problem] = field(factory=list)

    def document(self) -> Mapping:
        next(self.events)  # stream start
        if type(next(self.events)).__name__ == "StreamEndEvent":
            raise _rejected(Place(self.file), "a mapping", "an empty file")
        root = self.node(next(self.events), 1)
        next(self.events)  # document end
        extra = next(self.events)
        if type(extra).__name__ != "StreamEndEvent":
            raise _rejected(self.place(extra), "one document", "the start of another one")
        if isinstance(root, Scalar) and root.plain and root.text == "":
            raise _rejected(Place(self.file), "a mapping", "an empty file")
        if not isinstance(root, Mapping):
            raise _rejected(Place(self.file, root.line, root.column), "a mapping", describe(root))
        if self.problems:
            raise SchemaError(self.problems)
        return root

    def place(self, event: Any) -> Place:
        return Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def node(self, event: Any, depth: int) -> Node:
        kind = type(event).__name__
        if kind == "AliasEvent":
            return self.alias(event)
        if depth > MAX_DEPTH:
            raise _rejected(self.place(event), f"at most {MAX_DEPTH} levels", "deeper nesting")
        # ruamel gives the mere `!` as a tag too
        if event.tag is not None and str(event.tag) != _CORE_TAGS[kind]:
            raise _rejected(
                self.place(event), "plain YAML", f"the tag {event.tag}", "tags have no meaning here"
            )
        if event.anchor:
            self.anchors[event.anchor] = None
        before = self.count
        self.count += 1
        self.read += 1
        if self.read > MAX_NODES:
            found = f"more than {MAX_NODES} values"
            hint = "block style, one value a line, is read whatever its size"
            raise _rejected(self.place(event), "simple YAML in a file of this size", found, hint)
        node = self.build(event, kind, depth)
        if event.anchor:
            self.anchors[event.anchor] = node, self.count - before
        return node

    def build(self, event: Any, kind: str, depth: int) -> Node:
        if kind == "ScalarEvent":
            return self.scalar(event)
        if kind == "MappingStartEvent":
            return self.mapping(event, depth)
        mark = event.start_mark
        items = []
        while type(inner := next(self.events)).__name__ != "SequenceEndEvent":
            items.append(self.node(inner, depth + 1))
        return Sequence(items, mark.line + 1, mark.column + 1)

    def alias(self, event: Any) -> Node:
        if event.anchor not in self.anchors:
            raise _rejected(self.place(event), "an alias of something above", f"*{event.anchor}")
        known = self.anchors[event.anchor]
        if known is None:
            raise _rejected(self.place(event), "an alias of something else", f"*{event.anchor} inside itself")
        node, size = known
        self.alias_nodes += size
        if self.alias_nodes > MAX_ALIAS_NODES:
            raise _rejected(self.place(event), f"aliases for at most {MAX_ALIAS_NODES} nodes", "more")
        # what holds this alias may be anchored itself: its size is the expanded one
        self.count += size
        return node

    def scalar(self, event: Any) -> Scalar:
        text = event.value
        if not text.isascii() and not _is_unicode(text):
            raise _rejected(self.place(event), "Unicode text", "half of a surrogate pair")
        mark = event.start_mark
        plain = event.tag is None and event.implicit[0] and plain_fits(text)
        return Scalar(text, plain, mark.line + 1, mark.column + 1)

    def mapping(self, event: Any, depth: int) -> Mapping:
        mark = event.start_mark
        result = Mapping(line=mark.line + 1, column=mark.column + 1)
        merged: list[tuple[Any, Node]] = []
        while type(key_event := next(self.events)).__name__ != "MappingEndEvent":
            key = self.key(key_event, depth)
            value = self.node(next(self.events), depth + 1)
            if key.text == "<<" and key.plain:
                merged.append((key_event, value))
            elif key.text in result.items:
                self.report_duplicate(key_event, key, result)
            else:
                result.items[key.text] = value
                result.key_marks[key.text] = (key.line, key.column)
        for key_event, value in merged:
            self.merge(key_event, value, result)
        return result

    def key(self, event: Any, depth: int) -> Scalar:
        node = self.node(event, depth + 1)
        if not isinstance(node, Scalar):
            raise _rejected(self.place(event), "a key that is one value", describe(node))
        mark = event.start_mark
        return Scalar(node.text, node.plain, mark.line + 1, mark.column + 1)

    def report_duplicate(self, event: Any, key: Scalar, so_far: Mapping) -> None:
        first = so_far.key_marks[key.text]
        found = f"it again (first in line {first[0]})"
        self.problems.append(Problem(self.place(event), key.text, "each key once", found))

    def merge(self, event: Any, value: Node, into: Mapping) -> None:
        """Fill in the keys of a merged mapping; a key that is there already wins."""
        sources = value.items if isinstance(value, Sequence) else [value]
        for source in sources:
            if not isinstance(source, Mapping):
                raise _rejected(
                    self.place(event), "a mapping, or a list of mappings, to merge", describe(source)
                )
            for key, item in source.items.items():
                if key not in into.items:
                    into.items[key] = item
                    into.key_marks[key] = source.key_marks[key]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
