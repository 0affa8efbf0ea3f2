"""Evaluated values: nodes with every intrinsic function computed, or the reason why one couldn't be.

An `Unknown` stands where a value would: whoever reads it has to decide, so nothing becomes silently empty.
"""

from collections.abc import Mapping

from artifact_contract.nodes import quote
from attrs import field, frozen

__all__ = ["Fields", "Items", "Text", "Unknown", "Value", "describe", "is_boolean"]

_BOOLEANS = dict.fromkeys(("true", "yes", "on"), "true") | dict.fromkeys(("false", "no", "off"), "false")


@frozen
class Text:
    """A scalar. `plain` is True when it was written without quotes and may be a number or a boolean."""

    text: str
    plain: bool = False
    line: int = field(default=0, eq=False)
    column: int = field(default=0, eq=False)

    @property
    def as_string(self) -> str:
        """What AWS makes of it where a string is needed: its YAML takes `True` and `yes` for booleans."""
        return _BOOLEANS[self.text.lower()] if is_boolean(self) else self.text


@frozen
class Fields:
    """A mapping; `marks` has the line and column of each key."""

    items: Mapping[str, "Value"]
    line: int = field(default=0, eq=False)
    column: int = field(default=0, eq=False)
    marks: Mapping[str, tuple[int, int]] = field(factory=dict, eq=False, repr=False)


@frozen
class Items:
    """A list."""

    items: tuple["Value", ...]
    line: int = field(default=0, eq=False)
    column: int = field(default=0, eq=False)


@frozen
class Unknown:
    """A value that isn't known when rendering. `reported`: the reason is a problem in the report already.

    `resource` is the logical id when this is a plain reference to a resource that has no name on a box.
    """

    reason: str
    line: int = field(default=0, eq=False)
    column: int = field(default=0, eq=False)
    resource: str = ""
    reported: bool = False


Value = Text | Fields | Items | Unknown


def is_boolean(text: Text) -> bool:
    """Whether YAML 1.1 takes a scalar for a boolean."""
    return text.plain and text.text in {
        form for word in _BOOLEANS for form in (word, word.title(), word.upper())
    }


def describe(value: Value | None) -> str:
    """What a value is, for the `found` of a message."""
    match value:
        case None:
            return "nothing"
        case Text():
            return quote(value.text)
        case Fields():
            return "a mapping"
        case Items():
            return "a list"
        case Unknown():
            return value.reason
