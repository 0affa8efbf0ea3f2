"""Builds nodes from a YAML parser's events: places, duplicate keys, merge keys, aliases, limits.

The parser's own composer keeps neither the places we report nor a limit on what aliases write out.
"""

import re
from collections.abc import Iterator
from typing import NoReturn

from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, quote
from attrs import frozen
from ruamel.yaml import events as ev

from esb_cli.sam import tags
from esb_cli.sam.report import Report

__all__ = ["ReadingStopped", "Spot", "compose"]

MAX_DEPTH = 100
MAX_NODES = 400_000  # more than a template of the permitted size can hold: only aliases get there

_SURROGATE = re.compile("[\ud800-\udfff]")
_MERGE = Scalar("<<")


@frozen
class Spot:
    """A place, counted from 1."""

    line: int
    column: int


class ReadingStopped(Exception):  # noqa: N818 - it carries no fact of its own: the report has it
    """Reading can't go on; the reason is in the report."""


@frozen
class _Composed:
    """A node, how many nodes it has with its aliases written out, and how deep it is."""

    node: Node
    weight: int = 1
    height: int = 1


@frozen
class _Size:
    """Grows while the items of a collection are read."""

    weight: int = 1
    height: int = 0

    def with_item(self, item: _Composed) -> "_Size":
        return _Size(self.weight + item.weight, max(self.height, item.height))

    def of(self, node: Node) -> _Composed:
        return _Composed(node, self.weight, self.height + 1)


def compose(events: Iterator[ev.Event], report: Report) -> Mapping | None:
    """The mapping that is the only document of the stream; None when there is none, the report then says why.

    Raises:
        ReadingStopped: When a limit is passed or an alias leads nowhere.
    """
    next(events)
    if isinstance(next(events), ev.StreamEndEvent):
        report.problem(Spot(1, 1), "", "a mapping", "an empty file")
        return None
    root = _Composer(events, report).node(next(events), 1).node
    next(events)
    after = next(events)
    if not isinstance(after, ev.StreamEndEvent):
        report.problem(_spot(after), "", "one document", "a second one")
    elif isinstance(root, Mapping):
        return root
    else:
        found = "a list" if isinstance(root, Sequence) else quote(root.text) if root.text else "an empty file"
        report.problem(root, "", "a mapping", found)
    return None


class _Composer:
    def __init__(self, events: Iterator[ev.Event], report: Report) -> None:
        self._events = events
        self._report = report
        self._anchors: dict[str, _Composed | None] = {}  # None while the anchored node isn't complete
        self._written_out = 0  # nodes that aliases add

    def node(self, event: ev.Event, depth: int) -> _Composed:
        if isinstance(event, ev.AliasEvent):
            return self._alias(event, depth)
        if depth > MAX_DEPTH:
            self._stop(event, f"at most {MAX_DEPTH} levels", "deeper nesting")
        if not isinstance(event, ev.ScalarEvent | ev.CollectionStartEvent):
            self._stop(event, "a value", "none")
        if event.anchor:
            self._anchors[event.anchor] = None
        made = self._fresh(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = made
        return made

    def _fresh(self, event: ev.ScalarEvent | ev.CollectionStartEvent, depth: int) -> _Composed:
        if isinstance(event, ev.ScalarEvent):
            made = _Composed(_scalar(event))
        elif isinstance(event, ev.SequenceStartEvent):
            made = self._sequence(event, depth)
        else:
            made = self._mapping(event, depth)
        if event.tag is None or event.tag == "!":
            return made
        node = tags.long_form(event.tag, made.node)
        if node is None:
            self._report.problem(_spot(event), "", "a CloudFormation tag such as !Ref or !Sub", event.tag)
            return made
        return _Composed(node, made.weight + 1, made.height + 1)

    def _alias(self, event: ev.AliasEvent, depth: int) -> _Composed:
        if event.anchor not in self._anchors:
            self._stop(event, "an alias of an anchor above it", f"*{event.anchor}")
        target = self._anchors[event.anchor]
        if target is None:
            self._stop(event, "an alias of something complete", f"*{event.anchor} inside of &{event.anchor}")
        if depth + target.height > MAX_DEPTH:
            self._stop(event, f"at most {MAX_DEPTH} levels", "deeper nesting")
        self._written_out += target.weight
        if self._written_out > MAX_NODES:
            self._stop(event, f"at most {MAX_NODES} values once aliases are written out", "more")
        return target

    def _stop(self, event: ev.Event, expected: str, found: str) -> NoReturn:
        self._report.problem(_spot(event), "", expected, found)
        raise ReadingStopped

    def _sequence(self, start: ev.Event, depth: int) -> _Composed:
        spot = _spot(start)
        made = Sequence(line=spot.line, column=spot.column)
        size = _Size()
        while not isinstance(event := next(self._events), ev.SequenceEndEvent):
            item = self.node(event, depth + 1)
            made.items.append(item.node)
            size = size.with_item(item)
        return size.of(made)

    def _mapping(self, start: ev.Event, depth: int) -> _Composed:
        spot = _spot(start)
        made = Mapping(line=spot.line, column=spot.column)
        inherited: list[Mapping] = []
        size = _Size()
        while not isinstance(event := next(self._events), ev.MappingEndEvent):
            key = self.node(event, depth + 1).node
            value = self.node(next(self._events), depth + 1)
            size = size.with_item(value)
            if key == _MERGE:
                inherited += self._sources(key, value.node)
            else:
                self._put(made, key, value.node)
        for source in inherited:
            _inherit(made, source)
        return size.of(made)

    def _put(self, made: Mapping, key: Node, value: Node) -> None:
        if not isinstance(key, Scalar):
            self._report.problem(key, "", "text as a key", "a mapping or a list")
        elif key.text in made.items:
            line, column = made.key_marks[key.text]
            self._report.problem(
                key, key.text, "a key once", f"it again, it stands at {line}:{column} already"
            )
        else:
            made.items[key.text] = value
            made.key_marks[key.text] = (key.line, key.column)

    def _sources(self, key: Node, value: Node) -> list[Mapping]:
        sources = value.items if isinstance(value, Sequence) else [value]
        found = [source for source in sources if isinstance(source, Mapping)]
        if len(found) < len(sources):
            self._report.problem(key, "<<", "a mapping, or a list of mappings", "something else")
        return found


def _inherit(made: Mapping, source: Mapping) -> None:
    """What stands in the mapping itself wins, then the earlier source (YAML's merge key)."""
    for name, node in source.items.items():
        if name not in made.items:
            made.items[name], made.key_marks[name] = node, source.key_marks[name]


def _scalar(event: ev.ScalarEvent) -> Scalar:
    text = event.value
    spot = _spot(event)
    if _SURROGATE.search(text):
        # JSON writes characters beyond U+FFFF as two escapes
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    plain = event.style is None and tags.keeps_plain(event.tag)
    return Scalar(text, plain=plain, line=spot.line, column=spot.column)


def _spot(event: ev.Event) -> Spot:
    return Spot(event.start_mark.line + 1, event.start_mark.column + 1)
