"""A fast reader for YAML as tools write it: block style, one value a line (contract §9, §10).

`block_reader()` gives the nodes that the contract's `read_yaml` gives, without their places, in a fraction
of the time, because most lines of a config come again and again. Lines of the form `key: value` and `-
value` are read here. A value of any other form (flow style, block scalars, text over several lines) is cut
out with the lines that belong to it and given to `read_yaml` by itself, so that one such value doesn't make
a large file slow. A file with anything else in it (anchors and aliases, keys written twice, tabs, a second
document, any mistake) is given to `read_yaml` whole, which also says what is wrong, and where.

Own code, because libraries are slower here: rapidyaml parses in no time, but asking it for each node takes
four times what this takes for everything, and it prints to stderr when a file is malformed.
"""

from __future__ import annotations

import json
import re
from string import ascii_letters, digits
from typing import TypeAlias

from artifact_contract.codec import MAX_BYTES, MAX_GENERAL, Reader, read_yaml
from artifact_contract.errors import SchemaError
from artifact_contract.nodes import Mapping, Node, Scalar, Sequence
from attrs import define, field

_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\n"
# Beyond ASCII: white space and line breaks, which readers disagree on, and what no reader accepts.
_ODD_CHARACTER = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000"
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)
_KEY = re.compile(r"""[A-Za-z0-9_/][A-Za-z0-9_./{}+-]{0,200}\Z|"[^"\\]{0,200}"\Z|'[^']{0,200}'\Z""")
_PLAIN_FIRST = frozenset(f"{ascii_letters}{digits}_/$+(~^;.-")
_MARKERS = ("---", "...")
_COMMENT = re.compile(r""""([^"\\]*)" +#.*\Z|'([^']*)' +#.*\Z""")
# Double quotes with the escapes that mean the same in JSON; the contract's writer uses no others.
_ESCAPED = re.compile(r'"(?:[^"\\]|\\(?:["\\bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}))*"\Z')
# Anchors, aliases, block scalars that say their indentation: they depend on what is around them.
_NOT_ALONE = re.compile(r"(?:\A|[\n \[{,:])[&*][^ \n]|[|>][-+]?[0-9]")
_MAX_DEPTH = 30

_NULL = Scalar("")
_Container: TypeAlias = dict[str, Node] | list[Node]


# A line taken apart: indentation, width of the dash, key, value (None: it takes more than a look), its text.
_Line: TypeAlias = tuple[int, int, str | None, Scalar | None, str]


class _NotPlainError(Exception):
    """The file isn't what this module reads."""


def block_reader() -> Reader:
    """A reader that remembers lines from one file to the next; nodes it gives out may be shared."""
    memory = Memory()

    def read(data: bytes, file: str) -> Node:
        node = read_block(data, memory)
        return read_yaml(data, file) if node is None else node

    return read


def read_block(data: bytes, memory: Memory) -> Mapping | None:
    """The nodes of a file in block style; None when it isn't, or when only the precise reader can tell."""
    try:
        return _Parser(memory, _lines(data), large=len(data) > MAX_GENERAL).document()
    except _NotPlainError:
        return None


def _lines(data: bytes) -> list[str]:
    # The contract wants larger files in simple lines: values over several lines, and comments behind values,
    # are then for its reader to refuse.
    if len(data) > MAX_BYTES or (len(data) > MAX_GENERAL and b" #" in data):
        raise _NotPlainError
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if data.isascii():
        if data.translate(None, _PRINTABLE):
            raise _NotPlainError
        return data.decode().split("\n")
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise _NotPlainError from None
    if _ODD_CHARACTER.search(text):
        raise _NotPlainError
    return text.split("\n")


@define
class Memory:
    """What lines, keys and cut-out values were read as; most of them come again and again."""

    lines: dict[str, _Line] = field(factory=dict)
    keys: dict[str, str] = field(factory=dict)
    fragments: dict[str, Node] = field(factory=dict)

    def line(self, text: str) -> _Line:
        """Take a line apart that hasn't been seen before."""
        body = text.lstrip(" ")
        indent, dash, key = len(text) - len(body), 0, None
        if body[-1:] == " ":
            body = body.rstrip(" ")
        if body[:2] == "- " or body == "-":
            inner = body[1:].lstrip(" ")
            dash, body = len(body) - len(inner), inner
        name, colon, rest = body.partition(": ")
        if colon:
            key = self.keys.get(name) or self.key(name)
        elif body[-1:] == ":":
            key = self.keys.get(body[:-1]) or self.key(body[:-1])
        if key is None:
            rest = body
        elif rest[:1] == " ":
            rest = rest.lstrip(" ")
        line = self.lines[text] = (indent, dash, key, _simple(rest), rest)
        return line

    def key(self, written: str) -> str | None:
        """The key that is written like this; None when it isn't one."""
        if not _KEY.match(written):
            return None
        key = self.keys[written] = written[1:-1] if written[0] in "\"'" else written
        return key

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
    """The value that this text is by itself; None when it takes more than a look."""
    first = text[:1]
    if first in ("", "#"):
        return _NULL
    if first in _PLAIN_FIRST or first > "\x7f":
        plain = text.partition(" #")[0].rstrip(" ") if " #" in text else text
        if ": " in plain or plain[-1] == ":" or (first in ".-" and plain[:3] in _MARKERS):
            return None
        return None if first == "-" and plain[1:2] in ("", " ", "-") else Scalar(plain)
    if first in "\"'" and text[-1] == first and text.count(first) == 2 and "\\" not in text:
        return Scalar(text[1:-1], plain=False)
    commented = _COMMENT.match(text)
    if commented:
        return Scalar(commented[1] if commented[2] is None else commented[2], plain=False)
    return Scalar(json.loads(text), plain=False) if _ESCAPED.match(text) else None


def _check_depth(node: Node, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise _NotPlainError
    if not isinstance(node, Scalar):
        for inner in node.items.values() if isinstance(node, Mapping) else node.items:
            _check_depth(inner, depth + 1)


class _Parser:
    """Reads one file's lines; `container` is the innermost one, its keys or dashes stand in `column`."""

    def __init__(self, memory: Memory, lines: list[str], *, large: bool) -> None:
        self.memory, self.lines = memory, lines
        self.large = large

    def document(self) -> Mapping:  # noqa: PLR0912, PLR0915 - the inner loop of a merge
        """The file's one mapping; a call for each line would double the time."""
        lines, known, learn = self.lines, self.memory.lines, self.memory.line
        root: dict[str, Node] = {}
        outer: list[tuple[int, _Container]] = []
        column = 0
        container: _Container = root
        # Where the last value went, from which line, and whether it is still to come.
        into, into_key, start, awaited = container, "", -1, False
        at, end = self.first_line(), len(lines)
        while at < end:
            text = lines[at]
            indent, dash, key, value, _ = known.get(text) or learn(text)
            if key is None and value is _NULL and not dash:  # blank, or a comment
                at += 1
                continue
            if indent < column:
                while indent < column:
                    column, container = outer.pop()
                if indent != column:
                    raise _NotPlainError
                awaited = False
            if indent > column or (dash and awaited and into is container and isinstance(container, dict)):
                if not awaited or (key is None and not dash):
                    # It continues the last value: that is read again, with all its lines.
                    at = self.cut_out(into, into_key, start, at)
                    awaited = False
                    continue
                if len(outer) > _MAX_DEPTH:
                    raise _NotPlainError
                outer.append((column, container))
                column, container = indent, [] if dash else {}
                _store(
                    into, into_key, Mapping(container) if isinstance(container, dict) else Sequence(container)
                )
            elif not dash and isinstance(container, list):
                # A list may stand in the column of its key; what follows without a dash is the next key.
                column, container = outer.pop()
                if column != indent:
                    raise _NotPlainError
            if isinstance(container, list):
                container.append(_NULL)
                if key is not None:
                    outer.append((column, container))
                    inner: dict[str, Node] = {}
                    container[-1] = Mapping(inner)
                    column, container = indent + dash, inner
            elif dash or key is None or key in container:
                raise _NotPlainError
            into, into_key, start, awaited = container, key or "", at, value is _NULL
            if value is None:
                at = self.cut_out(into, into_key, start, at)
            else:
                _store(into, into_key, value)
                at += 1
        if not root:
            raise _NotPlainError
        return Mapping(root)

    def first_line(self) -> int:
        """Where the document starts, behind comments and a `---`."""
        for at, text in enumerate(self.lines):
            stripped = text.strip(" ")
            if text == "---":
                return at + 1
            if stripped and stripped[0] != "#":
                return at
        raise _NotPlainError

    def cut_out(self, into: _Container, key: str, start: int, at: int) -> int:
        """Give the value that starts in line `start` to the precise reader; returns the line after it."""
        if start < 0 or self.large:
            raise _NotPlainError
        indent, dash, own_key, _, rest = self.memory.lines[self.lines[start]]
        parent = indent if own_key is None else indent + dash
        end = at + 1
        while end < len(self.lines):
            text = self.lines[end].lstrip(" ")
            if text and len(self.lines[end]) - len(text) <= parent:
                break
            if not text and self.lines[end]:
                # Spaces alone may count in a block scalar, and then they count from somewhere else.
                raise _NotPlainError
            end += 1
        text = "\n".join([f"k: {rest}", *(line[parent:] for line in self.lines[start + 1 : end])])
        # a line break at its end is part of a block scalar
        _store(into, key, self.memory.fragment(text if end == len(self.lines) else text + "\n"))
        return end


def _store(into: _Container, key: str, node: Node) -> None:
    if isinstance(into, dict):
        into[key] = node
    else:
        into[-1] = node
