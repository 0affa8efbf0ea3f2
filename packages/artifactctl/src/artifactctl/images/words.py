r"""Words of an instruction: how they are split, and how `$VAR`, `${VAR:-x}`, quotes and escapes become text.

Single quotes keep everything, double quotes keep spaces, the escape character keeps the one that follows it.
An unset variable is the empty text. Not here: `${VAR#pattern}` and its relatives, which ask for another
builder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NoReturn

from artifact_contract.errors import FieldError
from attrs import define

Lookup = Callable[[str], str | None]

_SPECIAL = "@*#?-$!0"
# JSON can say what neither UTF-8 nor a process can hold.
_NO_TEXT = re.compile("[\\0\ud800-\udfff]")
_NAME = re.compile(r"[^\W\d]\w*|[1-9]\d*")
_SPACES = re.compile(r"[\t\v\f\r ]+")
_PATTERN_OPERATORS = ("#", "%", "/", "^", ",", "@")
# No process can be given a longer text; variables that name each other grow exponentially.
_LONGEST = 128 * 1024
_MOST_LEVELS = 64


class UnsupportedError(FieldError):
    """Docker can do this, direct assembly can't."""


def expand(text: str, lookup: Lookup, escape: str = "\\") -> str:
    """The text with variables replaced, quotes and escapes gone.

    Raises:
        FieldError: a quote or a brace isn't closed, `${VAR:?…}` finds nothing, or the text is too much.
        UnsupportedError: an operator this builder doesn't know.
    """
    if not any(special in text for special in ("$", "'", '"', escape)):
        return text
    return _Expansion(text, lookup, escape).until("")


def split_plain(text: str) -> list[str]:
    """Words as COPY, EXPOSE and FROM have them: at each run of white space, quotes mean nothing."""
    return [word for word in _SPACES.split(text) if word]


def split_quoted(text: str, escape: str = "\\") -> list[str]:
    """Words as ENV, LABEL and ARG have them: a space in quotes or after the escape character ends none."""
    words: list[str] = []
    word, quote, position = "", "", 0
    while position < len(text):
        character = text[position]
        if character == escape and quote != "'" and position + 1 < len(text):
            word += text[position : position + 2]
            position += 2
            continue
        if not quote and character in " \t\v\f\r":
            words.append(word)
            word = ""
        else:
            word += character
            quote = _quote_after(quote, character)
        position += 1
    return [found for found in [*words, word] if found]


def _quote_after(quote: str, character: str) -> str:
    if quote:
        return "" if character == quote else quote
    return character if character in "'\"" else ""


def split_pairs(text: str, escape: str = "\\") -> list[tuple[str, str]]:
    """`k=v k2="v 2"` or the old `k some text` as pairs, not yet expanded.

    Raises:
        FieldError: neither of the two forms.
    """
    words = split_quoted(text, escape)
    if not words:
        raise FieldError("name=value", "nothing")
    if "=" not in words[0]:
        parts = _SPACES.split(text.strip(), maxsplit=1)
        if len(parts) < 2:
            raise FieldError("name=value", repr(text))
        return [(parts[0], parts[1])]
    for word in words:
        if "=" not in word:
            raise FieldError("name=value", repr(word), hint="a value with spaces needs quotes")
    return [(word.partition("=")[0], word.partition("=")[2]) for word in words]


def json_words(text: str) -> list[str] | None:
    """The exec form `["a", "b"]` as words, nothing when the text isn't a JSON array.

    Raises:
        FieldError: an array of something else than strings, or a string that is no text.
    """
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    except RecursionError as error:
        raise FieldError("an array of strings", "arrays in arrays") from error
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise FieldError("an array of strings", text)
    if any(_NO_TEXT.search(word) for word in found):
        raise FieldError("Unicode text", ascii(text))
    return found


@define
class _Expansion:
    text: str
    lookup: Lookup
    escape: str
    position: int = 0
    levels: int = 0
    taken: int = 0

    def until(self, stop: str) -> str:
        """Everything up to the stop character, which is taken too; up to the end without one."""
        result = ""
        while self.position < len(self.text):
            character = self._take()
            if stop and character == stop:
                return result
            if character == "'":
                result += self._single_quoted()
            elif character == '"':
                result += self._double_quoted()
            elif character == "$":
                result += self._variable()
            elif character == self.escape:
                result += self._take()
            else:
                result += character
        if stop:
            self._unclosed(stop)
        return result

    def _take(self) -> str:
        self.position += 1
        return self.text[self.position - 1 : self.position]

    def _peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def _unclosed(self, what: str) -> NoReturn:
        raise FieldError(f"a closing {what}", repr(self.text))

    def _single_quoted(self) -> str:
        end = self.text.find("'", self.position)
        if end < 0:
            self._unclosed("'")
        start, self.position = self.position, end + 1
        return self.text[start:end]

    def _double_quoted(self) -> str:
        result = ""
        while self.position < len(self.text):
            character = self._take()
            if character == '"':
                return result
            if character == "$":
                result += self._variable()
            elif character == self.escape and self._peek() in ('"', "$", self.escape):
                result += self._take()
            else:
                result += character
        return self._unclosed('"')

    def _variable(self) -> str:
        if self._peek() != "{":
            name = self._name()
            return (self._value(name) or "") if name else "$"
        self._take()
        name = self._name()
        operator = self._take()
        if not name or not operator:
            raise FieldError("${NAME}", repr(self.text))
        if operator == "}":
            return self._value(name) or ""
        colon = operator == ":"
        return self._modified(name, self._take() if colon else operator, colon=colon)

    def _value(self, name: str) -> str | None:
        value = self.lookup(name)
        self.taken += len(value or "")
        if self.taken > _LONGEST:
            raise FieldError(f"variables of at most {_LONGEST >> 10} KiB together", "more")
        return value

    def _name(self) -> str:
        found = _NAME.match(self.text, self.position)
        if found:
            self.position = found.end()
            return found[0]
        return self._take() if self._peek() and self._peek() in _SPECIAL else ""

    def _modified(self, name: str, operator: str, *, colon: bool) -> str:
        if operator not in ("-", "+", "?"):
            if operator in _PATTERN_OPERATORS and not colon:
                raise UnsupportedError("${NAME}, ${NAME:-x}, ${NAME:+x} or ${NAME:?x}", repr(self.text))
            raise FieldError("${NAME}, ${NAME:-x}, ${NAME:+x} or ${NAME:?x}", repr(self.text))
        self.levels += 1
        if self.levels > _MOST_LEVELS:
            raise FieldError(f"at most {_MOST_LEVELS} variables inside each other", "more")
        word = self.until("}")
        self.levels -= 1
        value = self._value(name)
        present = bool(value) if colon else value is not None
        if operator == "+":
            return word if present else ""
        if operator == "?" and not present:
            raise FieldError(f"a value for {name}", "nothing", hint=word)
        return value or "" if present else word
