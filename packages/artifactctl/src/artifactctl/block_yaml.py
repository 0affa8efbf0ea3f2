"""A fast reader for YAML as tools write it: block style, one value a line (contract §9, §10).

`block_reader()` gives the nodes that the contract's `read_yaml` gives, without their places, in a fiftieth of the
time. Lines of the form `key: value` and `- value` are read here. A value of any other form (flow style, block
scalars, text over several lines) is cut out with the lines that belong to it and given to `read_yaml` by itself, so
that one such value doesn't make a large file slow. A file that has anything else in it (anchors and aliases, keys
written twice, tabs, a second document, any mistake) is given to `read_yaml` whole, which also says what is wrong.

Own code, because libraries are slower here: rapidyaml parses in no time, but asking it for each node costs four
times what this takes for everything, and it prints to stderr when a file is malformed.
"""

from __future__ import annotations

import json
import re
from typing import TypeAlias

from artifact_contract.codec import MAX_BYTES, Reader, read_yaml
from artifact_contract.errors import SchemaError
from artifact_contract.nodes import Mapping, Node, Scalar, Sequence
from attrs import define, field

_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\n"
# Beyond ASCII: everything printable but spaces, line breaks and the byte order mark, which readers disagree on.
_ODD_CHARACTER = re.compile(
    "[^\n -~\u00a1-\u167f\u1681-\u1fff\u2010-\u2027\u2030-\u205e\u2070-\u2fff\u3001-\ud7ff\ue000-\ufefe"
    "\uff00-\ufffd\U00010000-\U0010fffd]"
)
# indentation, dash of a list element, key, the rest of the line
_LINE = re.compile(
    r"""( *)(- +|-(?=\Z))?"""
    r"""(?:([A-Za-z0-9_/][A-Za-z0-9_./{}+-]{0,200}|"[^"\\]{0,200}"|'[^']{0,200}'):(?: +|\Z))?(.*)"""
)
_PLAIN = r"(?:[A-Za-z0-9_/$+(~^;\u00a1-\U0010fffd]|\.(?!\.)|-(?=[^ -]))(?:[^ :#]|:(?=[^ ])| +(?=[^ :#]))*"
_VALUE = re.compile(
    rf"""({_PLAIN})?(?:(?<=[^ ])|\A)(?:(?: +|\A)#.*)?\Z|"([^"\\]*)"(?: +#.*)?\Z|'([^']*)'(?: +#.*)?\Z"""
)
# Double quotes with the escapes that mean the same in JSON, which are also the ones the contract's writer uses.
_ESCAPED = re.compile(r'"(?:[^"\\]|\\(?:["\\bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}))*"\Z')
# An anchor or alias, or a block scalar that says its own indentation: they mean something outside of their value.
_NOT_ALONE = re.compile(r"(?:\A|[ \[{,:])[&*][^ ]|[|>][-+]?[0-9]")
_MAX_DEPTH = 30

_NULL = Scalar("")
# Lists are always filled at their end, so the key of an element is all that tells it apart.
_Container: TypeAlias = dict[str, Node] | list[Node]
_Line: TypeAlias = tuple[int, int, str | None, Scalar | None, str]


class _NotPlainError(Exception):
    """The file isn't what this module reads."""


def block_reader() -> Reader:
    """A reader that remembers lines and values from one file to the next; nodes it gives out may be shared."""
    memory = _Memory()

    def read(data: bytes, file: str) -> Node:
        try:
            return _Parser(memory, _lines(data)).document()
        except _NotPlainError:
            return read_yaml(data, file)

    return read


def _lines(data: bytes) -> list[str]:
    if len(data) > MAX_BYTES:
        raise _NotPlainError
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise _NotPlainError from None
    if text.isascii():
        if data.translate(None, _PRINTABLE):
            raise _NotPlainError
    elif _ODD_CHARACTER.search(text):
        raise _NotPlainError
    return text.split("\n")


@define
class _Memory:
    """What lines, values and cut-out values were read as; most of them come again and again."""

    lines: dict[str, _Line] = field(factory=dict)
    values: dict[str, Scalar | None] = field(factory=dict)
    fragments: dict[str, Node] = field(factory=dict)

    def line(self, text: str) -> _Line:
        """Indentation, width of the dash, key, value (None: not a simple one) and its text."""
        match = _LINE.match(text)
        if match is None:
            raise _NotPlainError
        indent, dash, key, rest = match.groups()
        if key and key[0] in "\"'":
            key = key[1:-1]
        found = self.lines[text] = (len(indent), len(dash or ""), key, self.value(rest), rest)
        return found

    def value(self, text: str) -> Scalar | None:
        """The value that this text is by itself; None when it takes more than a look."""
        text = text.rstrip(" ")
        if text in self.values:
            return self.values[text]
        scalar = self.values[text] = _simple(text)
        return scalar

    def fragment(self, text: str) -> Node:
        """The value in the one-key mapping that this text is."""
        node = self.fragments.get(text)
        if node is None:
            if _NOT_ALONE.search(text):
                raise _NotPlainError
            try:
                root = read_yaml(text.encode(), "")
            except SchemaError:
                raise _NotPlainError from None
            if not isinstance(root, Mapping) or list(root.items) != ["k"]:
                raise _NotPlainError
            node = self.fragments[text] = root.items["k"]
            _check_depth(node, 0)
        return node


def _simple(text: str) -> Scalar | None:
    if not text or text[0] == "#":
        return _NULL
    match = _VALUE.match(text)
    if match:
        plain, double, single = match.groups()
        if plain is not None:
            return Scalar(plain)
        return Scalar(single if double is None else double, plain=False)
    if _ESCAPED.match(text):
        return Scalar(json.loads(text), plain=False)
    return None


def _check_depth(node: Node, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _NotPlainError
    if not isinstance(node, Scalar):
        for inner in node.items.values() if isinstance(node, Mapping) else node.items:
            _check_depth(inner, depth + 1)


class _Parser:
    """Reads one file's lines; `frames` are the open containers with the column of their keys or dashes."""

    def __init__(self, memory: _Memory, lines: list[str]) -> None:
        self.memory, self.lines = memory, lines
        self.root: dict[str, Node] = {}
        self.frames: list[tuple[int, _Container]] = [(0, self.root)]
        # Where the last value went: its container, its key (None: last element), its line, whether it was empty.
        self.last: tuple[_Container, str | None, int, bool] | None = None

    def document(self) -> Mapping:
        """The file's one mapping."""
        at, end, lines, frames = self.first_line(), len(self.lines), self.lines, self.frames
        known, learn = self.memory.lines, self.memory.line
        while at < end:
            line = known.get(lines[at]) or learn(lines[at])
            indent, dash, key, value, _ = line
            top, container = frames[-1]
            # Nine of ten lines: one more key of the innermost mapping.
            if (
                (indent == top and key is not None and value is not None and not dash)
                and isinstance(container, dict)
                and key not in container
            ):
                container[key] = value
                self.last = (container, key, at, value is _NULL)
                at += 1
            elif key is None and value is _NULL and not dash:  # blank, or a comment
                at += 1
            else:
                at = self.content(at, line)
        if not self.root:
            raise _NotPlainError
        return Mapping(self.root)

    def first_line(self) -> int:
        for at, text in enumerate(self.lines):
            stripped = text.strip(" ")
            if text == "---":
                return at + 1
            if stripped and stripped[0] != "#":
                return at
        raise _NotPlainError

    def content(self, at: int, line: _Line) -> int:
        """Read the line at `at`; returns where the next one is."""
        indent, dash, key, value, rest = line
        frames = self.frames
        while indent < frames[-1][0]:
            frames.pop()
        top, container = frames[-1]
        if indent > top or (dash and isinstance(container, dict) and self.last_was_empty(container)):
            if not self.opens(indent, dash, key):
                return self.reread(at)
            container = frames[-1][1]
        elif not dash and isinstance(container, list):
            # a list may stand in the column of its key; what follows without a dash is the next key
            frames.pop()
            top, container = frames[-1]
            if top != indent:
                raise _NotPlainError
        if dash:
            return self.element(at, line, container)
        if key is None or isinstance(container, list) or key in container:
            raise _NotPlainError
        return self.put(container, key, at, indent, value, rest)

    def last_was_empty(self, container: _Container) -> bool:
        return self.last is not None and self.last[3] and self.last[0] is container

    def opens(self, indent: int, dash: int, key: str | None) -> bool:
        """Start the container whose first line this is; False when the line doesn't start one."""
        if self.last is None or not self.last[3] or (key is None and not dash):
            return False
        if len(self.frames) > _MAX_DEPTH:
            raise _NotPlainError
        into, name, _, _ = self.last
        inner: _Container = [] if dash else {}
        _store(into, name, Sequence(inner) if isinstance(inner, list) else Mapping(inner))
        self.frames.append((indent, inner))
        return True

    def element(self, at: int, line: _Line, container: _Container) -> int:
        indent, dash, key, value, rest = line
        if isinstance(container, dict):
            raise _NotPlainError
        container.append(_NULL)
        if key is None:
            return self.put(container, None, at, indent, value, rest)
        inner: dict[str, Node] = {}
        container[-1] = Mapping(inner)
        self.frames.append((indent + dash, inner))
        return self.put(inner, key, at, indent + dash, value, rest)

    def put(
        self, container: _Container, key: str | None, at: int, indent: int, value: Scalar | None, rest: str
    ) -> int:
        if value is None:
            return self.cut_out(container, key, at, at, indent, rest)
        if isinstance(container, dict) and key is not None:
            container[key] = value
        else:
            container[-1] = value  # type: ignore[index] # None is the key of a list's elements only
        self.last = (container, key, at, value is _NULL)
        return at + 1

    def reread(self, at: int) -> int:
        """The line at `at` continues the last value: read that again with all its lines."""
        if self.last is None:
            raise _NotPlainError
        container, key, start, _ = self.last
        indent, dash, own_key, _, rest = self.memory.lines[self.lines[start]]
        column = indent + dash if own_key is not None else indent
        return self.cut_out(container, key, start, at, column, rest)

    def cut_out(
        self, container: _Container, key: str | None, start: int, at: int, indent: int, rest: str
    ) -> int:
        """Give the value that starts with `rest` in line `start` to the precise reader, with all its lines."""
        end = at + 1
        while end < len(self.lines):
            text = self.lines[end].lstrip(" ")
            if text and len(self.lines[end]) - len(text) <= indent:
                break
            end += 1
        body = [text[indent:] for text in self.lines[start + 1 : end]]
        _store(container, key, self.memory.fragment("\n".join([f"k: {rest}", *body])))
        self.last = (container, key, start, False)
        return end


def _store(container: _Container, key: str | None, node: Node) -> None:
    if isinstance(container, dict):
        container[key or ""] = node
    else:
        container[-1] = node
