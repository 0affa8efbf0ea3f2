"""Reads the properties of one construct and remembers which were read; the rest becomes findings.

What is asked for has to be right: a value of the wrong kind, or one that isn't known when rendering, is a
problem with its place. What nobody asked for is harmless or lost, as `support` says.
"""

import re
from collections.abc import Mapping as AnyMapping

from artifact_contract.nodes import Node, Scalar, is_null
from attrs import field, frozen

from esb_cli.sam.compose import Spot
from esb_cli.sam.report import Marked, Owner
from esb_cli.sam.resolve import Resolution
from esb_cli.sam.support import RULES, Rules
from esb_cli.sam.template import Resource
from esb_cli.sam.values import Fields, Items, Text, Unknown, Value, describe

__all__ = ["Properties", "is_nothing", "of_fields", "of_resource"]

_FALSE = frozenset({"false", "no", "off"})
_TRUE = frozenset({"true", "yes", "on"})


@frozen
class Properties:
    """Named values below `path`, read one by one. `title` begins each finding ("event Get: ")."""

    owner: Owner
    path: str
    spot: Spot
    resolution: Resolution
    _source: AnyMapping[str, Node | Value]
    _marks: AnyMapping[str, tuple[int, int]]
    title: str = ""
    _read: set[str] = field(factory=set)

    def __contains__(self, name: str) -> bool:
        return name in self._source

    def names(self) -> tuple[str, ...]:
        """The names, in the order of the template."""
        return tuple(self._source)

    def at(self, name: str) -> Spot:
        """The place of a property's name; of the whole where it is absent."""
        return Spot(*self._marks[name]) if name in self._marks else self.spot

    def where(self, name: str) -> str:
        """The path of a property, for messages."""
        return f"{self.path}.{name}"

    def unevaluated(self, name: str) -> Node | Value | None:
        """A property as it stands there; whether anything reads it is another question."""
        return self._source.get(name)

    def wrong(self, name: str, expected: str, found: str, hint: str = "", at: Marked | None = None) -> None:
        """Report what is wrong with a property."""
        spot = at if at is not None and at.line else self.at(name)
        self.resolution.report.problem(spot, self.where(name), expected, found, hint)

    def lose(self, lost: str, at: Marked | None = None) -> None:
        """Report what of this construct the box won't have."""
        self.resolution.report.finding(self.owner, at or self.spot, f"{self.title}{lost}")

    def skip(self, *names: str) -> None:
        """Take properties for read without looking at them."""
        self._read.update(names)

    def value(self, name: str, *, environment: bool = False) -> Value | None:
        """The value of a property; None when it is absent or `AWS::NoValue`."""
        self._read.add(name)
        found = self._source.get(name)
        if found is None or isinstance(found, Value):
            return found
        evaluator = self.resolution.evaluator
        return evaluator.for_environment(found) if environment else evaluator.value(found)

    def _known(self, name: str, expected: str, *, environment: bool = False) -> Value | None:
        """The value of a property that is of use only when it is known."""
        value = self.value(name, environment=environment)
        if isinstance(value, Unknown):
            if not value.reported:
                self.wrong(name, f"{expected}, known when rendering", value.reason, at=value)
            return None
        return value

    def text(self, name: str, expected: str = "text") -> Text | None:
        """A property that is text; None when it is absent, or wrong and reported."""
        value = self._known(name, expected)
        if value is None or (isinstance(value, Text) and not is_nothing(value)):
            return value
        self.wrong(name, expected, "nothing" if is_nothing(value) else describe(value), at=value)
        return None

    def required_text(self, name: str, expected: str) -> Text | None:
        """A property that has to be there; None when it is not, or wrong, which is reported."""
        if self.value(name) is None:
            self.wrong(name, expected, "nothing")
            return None
        return self.text(name, expected)

    def integer(self, name: str, low: int, high: int, unit: str = "") -> int | None:
        """A property that is a whole number within bounds; None when it is absent, or wrong and reported."""
        expected = f"a whole number from {low} to {high}{unit}"
        text = self.text(name, expected)
        if text is None:
            return None
        if re.fullmatch(r"[0-9]{1,9}", text.text) and low <= int(text.text) <= high:
            return int(text.text)
        self.wrong(name, expected, describe(text), at=text)
        return None

    def flag(self, name: str, *, default: bool) -> bool:
        """A property that is true or false."""
        text = self.text(name, "true or false")
        if text is None:
            return default
        if text.text.lower() in _TRUE | _FALSE:
            return text.text.lower() in _TRUE
        self.wrong(name, "true or false", describe(text), at=text)
        return default

    def items(self, name: str) -> tuple[Value, ...]:
        """The items of a list; empty when it is absent, null, or wrong and reported."""
        value = self._known(name, "a list")
        if isinstance(value, Items):
            return value.items
        if value is not None and not is_nothing(value):
            self.wrong(name, "a list", describe(value), at=value)
        return ()

    def child(self, name: str, *, environment: bool = False) -> "Properties | None":
        """What is below a property that is a mapping; None when absent, null, or wrong and reported."""
        value = self._known(name, "a mapping", environment=environment)
        if isinstance(value, Fields):
            return of_fields(value, self.where(name), self)
        if value is not None and not is_nothing(value):
            self.wrong(name, "a mapping", describe(value), at=value)
        return None

    def finish(self, construct: str) -> None:
        """Report every property that nothing read and that isn't harmless, as the construct's rules say."""
        rules = RULES.get(construct, Rules())
        for name in self._source:
            if name not in self._read and name not in rules.harmless:
                self.lose(rules.lost.get(name, f"the property {name}, which isn't supported"), self.at(name))


def of_resource(resource: Resource, resolution: Resolution) -> Properties:
    """The properties of a resource."""
    node = resource.properties
    return Properties(
        Owner(resource.logical_id, resource.type),
        f"Resources.{resource.logical_id}.Properties",
        Spot(resource.line, resource.column),
        resolution,
        node.items,
        node.key_marks,
    )


def of_fields(fields: Fields, path: str, above: Properties, title: str = "") -> Properties:
    """The properties that an evaluated mapping holds, for the same owner."""
    spot = Spot(fields.line, fields.column)
    return Properties(
        above.owner, path, spot, above.resolution, fields.items, fields.marks, title or above.title
    )


def is_nothing(value: Value) -> bool:
    """Whether a value is a null: the key stands there with nothing after it."""
    return isinstance(value, Text) and is_null(Scalar(value.text, plain=value.plain))
