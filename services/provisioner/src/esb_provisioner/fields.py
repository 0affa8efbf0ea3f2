"""Reading CloudFormation values: every scalar may arrive as text, every problem is kept, none is guessed.

`Fields` wraps one mapping of a resource. A getter returns a usable value or a harmless stand-in, and
notes what was wrong with resource and field, so that one run reports all problems of a resource:

    resources.yml: orders: ProvisionedThroughput.ReadCapacityUnits: expected an integer, found 'five'
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from artifact_contract.errors import Place, Problem
from attrs import define, field

FILE = "resources.yml"
_INTEGER = re.compile(r"[+-]?[0-9]+")


@define
class Fields:
    """One mapping of a resource, its place in the file, and the problems found in it so far."""

    resource: str
    values: Mapping[str, object]
    path: str = ""
    problems: list[Problem] = field(factory=list)
    _seen: set[str] = field(factory=set)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        self._seen.add(name)
        return self.values.get(name) is not None

    def text(self, name: str, default: str = "", *, required: bool = False, among: Iterable[str] = ()) -> str:
        """The field as text: numbers and booleans in the spelling CloudFormation gives them."""
        if not self._present(name, required=required):
            return default
        value = self.values[name]
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(value, str | int | float):
            self._bad(name, "text", value)
            return default
        choices = tuple(among)
        if choices and str(value) not in choices:
            self._bad(name, " or ".join(choices), value)
            return default
        return str(value)

    def integer(self, name: str, *, minimum: int, required: bool = False) -> int | None:
        """The field as an integer of at least `minimum`; `"5"` and `5` are the same, `5.0` is none."""
        if not self._present(name, required=required):
            return None
        value = self.values[name]
        is_integer = isinstance(value, int) and not isinstance(value, bool)
        if not is_integer and not (isinstance(value, str) and _INTEGER.fullmatch(value.strip())):
            self._bad(name, "an integer", value)
            return None
        number = int(str(value))
        if number < minimum:
            self._bad(name, f"an integer of at least {minimum}", value)
            return None
        return number

    def boolean(self, name: str, *, default: bool) -> bool:
        """The field as a boolean: `true`, `false` and the same as text, in any case."""
        if not self._present(name, required=False):
            return default
        value = self.values[name]
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
            return value.strip().lower() == "true"
        self._bad(name, "true or false", value)
        return default

    def moment(self, name: str) -> datetime | None:
        """The field as a point in time: ISO 8601, midnight UTC where only a date stands."""
        if not self._present(name, required=False):
            return None
        value = self.values[name]
        try:
            parsed = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
        except ValueError:
            parsed = None
        if parsed is None:
            self._bad(name, "a date like 2030-01-31 or 2030-01-31T00:00:00Z", value)
            return None
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)

    def child(self, name: str) -> Fields | None:
        """The mapping in the field; None when the field is absent or no mapping."""
        if not self._present(name, required=False):
            return None
        return self._wrap(self.values[name], self._at(name))

    def children(self, name: str, *, required: bool = False) -> list[Fields]:
        """The mappings of the list in the field."""
        if not self._present(name, required=required):
            return []
        value = self.values[name]
        if not isinstance(value, list | tuple):
            self._bad(name, "a list", value)
            return []
        wrapped = [self._wrap(item, f"{self._at(name)}[{n}]") for n, item in enumerate(value)]
        return [item for item in wrapped if item is not None]

    def texts(self, name: str) -> tuple[str, ...]:
        """The texts of the list in the field."""
        if not self._present(name, required=False):
            return ()
        value = self.values[name]
        if not isinstance(value, list | tuple) or not all(isinstance(item, str | int) for item in value):
            self._bad(name, "a list of texts", value)
            return ()
        return tuple(str(item) for item in value)

    def ignore(self, *names: str) -> None:
        """Say that these fields are known and deliberately without effect here."""
        self._seen.update(names)

    def unread(self) -> tuple[str, ...]:
        """The fields nobody asked for, as they are called in the file, sorted."""
        return tuple(self._at(name) for name in sorted(self.values.keys() - self._seen))

    def wrong(self, name: str, expected: str, fact: str) -> None:
        """Note a problem of a field: what should be there and what is."""
        self._note(self._at(name), expected, fact)

    def _bad(self, name: str, expected: str, value: object) -> None:
        self._note(self._at(name), expected, repr(value))

    def _present(self, name: str, *, required: bool) -> bool:
        present = self.has(name)
        if required and not present:
            self._note(self._at(name), "a value", "nothing")
        return present

    def _wrap(self, value: object, path: str) -> Fields | None:
        if not isinstance(value, Mapping):
            self._note(path, "a mapping", repr(value))
            return None
        return Fields(self.resource, value, path, self.problems)

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _note(self, path: str, expected: str, found: str) -> None:
        self.problems.append(Problem(Place(FILE), f"{self.resource}: {path}", expected, found))
