"""Simple YAML to nodes, line by line: what our own writer and most generators produce (contract §9).

General YAML takes ruamel four seconds a megabyte. Nearly every file here is simpler than that: block style,
one key or one item a line, each value plain or quoted on its line. Such a file is read with one regular
expression a line. Anything else - a flow collection, a block scalar, an anchor, a comment behind a value,
anything odd at all - makes `read_simple` give up, and the general reader decides. So this module may only
accept what it understands exactly as that one does; a test holds the two against each other.
"""

from __future__ import annotations

import json
import re
from typing import TypeAlias

from artifact_contract.nodes import Mapping, Node, Scalar, Sequence

_Stack: TypeAlias = list[tuple[int, Mapping | Sequence]]

_MAX_DEPTH = 60
_LONGEST_KEY = 1000
_DOUBLE = r'"[^"\\]*(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})[^"\\]*)*"'
_SINGLE = r"'[^']*(?:''[^']*)*'"
# starts with no indicator, has no `: ` and no ` #`, ends with something other than a colon or a space
_FIRST = r"(?!\.\.\.)(?:[A-Za-z0-9_/.$+=~(]|-(?=[A-Za-z0-9.]))"
_PLAIN = _FIRST + r"[^\s:#]*(?:(?::(?=\S)|(?<=\S)#| +(?=[^\s#]))[^\s:#]*)*"
_LINE = re.compile(
    rf"( *)(- +)?(?:([A-Za-z_/][A-Za-z0-9_./-]*|{_DOUBLE}):(?: +|\Z))?"
    rf"({_DOUBLE}|{_SINGLE}|{{}}|\[\]|{_PLAIN})? *\Z"
)
_NOTHING = re.compile(r" *(?:#.*)?\Z")
# Line breaks to some reader of YAML, characters no reader accepts, other white space, and tabs, whose place
# matters.
_SPECIAL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\ufffe\uffff]"
)


class NotSimpleError(Exception):
    """This file is for the general reader; `line` is the first it says more in than this one understands."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def read_simple(text: str) -> Mapping:
    """The nodes of a file in simple YAML.

    Raises:
        NotSimpleError: it isn't simple, or isn't YAML at all.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    special = _SPECIAL.search(text)
    if special:
        raise NotSimpleError(text.count("\n", 0, special.start()) + 1)
    root = _read(text.split("\n"))
    if not root.items:
        raise NotSimpleError(1)
    return root


def _read(lines: list[str]) -> Mapping:
    root = Mapping()
    # the open collections, outermost first, each with its column counted from 0; the innermost one by itself
    stack: _Stack = [(0, root)]
    at, top = stack[-1]
    # the key of the innermost mapping whose value, if it has one, starts in the next line
    waiting: str | None = None
    start = 1 if lines[0] == "---" else 0
    for number, line in enumerate(lines[start:], start + 1):
        match = _LINE.match(line)
        if match is None:
            if _NOTHING.match(line):
                continue
            raise NotSimpleError(number)
        spaces, dash, key, value = match.groups()
        column = len(spaces)
        if key is None and (dash is None or value is None):
            if line.strip():
                raise NotSimpleError(number)
            continue
        node = None if value is None else _value(value, number, match.start(4) + 1)
        # most lines just go on with the innermost mapping: nothing else is done for them
        if waiting is not None or dash is not None or column != at or type(top) is Sequence:
            if waiting is not None:
                _open(stack, waiting, dash, number, column)
            _close(stack, number, column, dash)
            if dash is not None:
                column += len(dash)
                _item(stack, node if key is None else None, number, column)
            at, top = stack[-1]
        waiting = None if key is None else _entry(top, key, node, number, column)
    return root


def _open(stack: _Stack, key: str, dash: str | None, number: int, column: int) -> None:
    """Start the collection that is the waiting key's value, if this line is its first."""
    at = stack[-1][0]
    if dash is not None and column >= at:
        _push(stack, key, Sequence([], number, column + 1))
    elif dash is None and column > at:
        _push(stack, key, Mapping({}, number, column + 1))


def _push(stack: _Stack, key: str | None, inner: Mapping | Sequence) -> None:
    top = stack[-1][1]
    if len(stack) > _MAX_DEPTH:
        raise NotSimpleError(inner.line)
    if isinstance(top, Sequence):
        top.items.append(inner)
    elif key is not None:
        top.items[key] = inner
    stack.append((inner.column - 1, inner))


def _close(stack: _Stack, number: int, column: int, dash: str | None) -> None:
    """End the collections that this line is no part of."""
    while stack[-1][0] > column:
        stack.pop()
    # the items of a list may stand in the column of its key
    if dash is None and stack[-1][0] == column and isinstance(stack[-1][1], Sequence):
        stack.pop()
    if stack[-1][0] != column or isinstance(stack[-1][1], Sequence) != (dash is not None):
        raise NotSimpleError(number)


def _item(stack: _Stack, node: Node | None, number: int, column: int) -> None:
    """Add an item to the innermost list: the node, or without one a mapping in this column."""
    top = stack[-1][1]
    if node is None:
        _push(stack, None, Mapping({}, number, column + 1))
    elif isinstance(top, Sequence):
        top.items.append(node)


def _entry(top: Mapping | Sequence, key: str, node: Node | None, number: int, column: int) -> str | None:
    """Add a key to a mapping; returns the key when its value may follow."""
    name = key if key[0] != '"' else _double(key)
    if isinstance(top, Sequence) or name in top.items or len(key) > _LONGEST_KEY:
        raise NotSimpleError(number)
    if not top.line:
        top.line, top.column = number, column + 1
    top.key_marks[name] = (number, column + 1)
    if node is not None:
        top.items[name] = node
        return None
    top.items[name] = Scalar("", True, number, column + 1)
    return name


def _value(text: str, line: int, column: int) -> Node:
    first = text[0]
    if first == '"':
        return Scalar(_double(text), False, line, column)
    if first == "'":
        return Scalar(text[1:-1].replace("''", "'"), False, line, column)
    if first == "{":
        return Mapping({}, line, column)
    return Sequence([], line, column) if first == "[" else Scalar(text, True, line, column)


def _double(text: str) -> str:
    # the escapes the expression lets through are those that JSON has too
    return str(json.loads(text)) if "\\" in text else text[1:-1]
