"""What reading a file gives: the value, the warnings, and where each field stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import frozen

from artifact_contract.errors import ArtifactError, Place, Problem
from artifact_contract.nodes import Mapping, Node, Scalar, Sequence, Step, is_null

T = TypeVar("T")


@frozen
class Parsed(Generic[T]):
    """A value that is right, and what was odd about the file it came from."""

    value: T
    warnings: tuple[Problem, ...] = ()


@frozen
class Places:
    """Where the fields of a file stand, as far as its reader knew."""

    root: Node
    file: str

    def of(self, path: tuple[Step, ...]) -> Place:
        """The place of a field's value; of its key when that is null, of its parent when it is missing."""
        node, mark = self.root, (self.root.line, self.root.column)
        for step in path:
            inner = child(node, step)
            if inner is None:
                break
            mark = (inner.line, inner.column)
            if is_null(inner) and isinstance(node, Mapping):
                mark = node.key_marks.get(str(step), mark)
            node = inner
        return self.at(*mark)

    def key(self, path: tuple[Step, ...]) -> Place:
        """The place of a key."""
        node = self.root
        for step in path[:-1]:
            inner = child(node, step)
            if inner is None:
                return Place(self.file)
            node = inner
        marks = node.key_marks if isinstance(node, Mapping) else {}
        return self.at(*marks.get(str(path[-1]), (0, 0)))

    def at(self, line: int, column: int) -> Place:
        """The place at a line and column; just the file where they are not known."""
        return Place(self.file, line, column) if line else Place(self.file)


def child(node: Node, step: Step) -> Node | None:
    """What a key or an index leads to; None when it leads nowhere."""
    if isinstance(node, Scalar):
        return None
    if isinstance(node, Sequence):
        return node.items[step] if isinstance(step, int) and step < len(node.items) else None
    return node.items.get(str(step))


def parse_located(
    data: bytes,
    file: str,
    structure: Callable[[Node, str], Parsed[T]],
    readers: tuple[Callable[[bytes, str], Node], Callable[[bytes, str], Node]],
) -> Parsed[T]:
    """Structure what the fast reader gives; if there is something to say, read again with the precise one.

    Raises:
        ArtifactError: the file is wrong; says so with places.
    """
    fast, precise = readers
    if fast is precise:
        return structure(precise(data, file), file)
    try:
        parsed = structure(fast(data, file), file)
    except ArtifactError:
        return structure(precise(data, file), file)
    return structure(precise(data, file), file) if parsed.warnings else parsed
