"""Turns a YAML parser's complaint into a place, a fact and a hint that helps the author of a template."""

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

__all__ = ["explain"]

_HINTS = (
    ("\\t", "YAML is indented with spaces, not with tabs"),
    ("mapping values are not allowed", "quote a value that holds ': ', and check the indentation"),
    ("could not find expected ':'", "a key without ':' stands here, or the indentation is wrong"),
    ("cannot start any token", "quote a value that begins with a special character"),
    ("found '<scalar>'", "text follows a closing quote, or the indentation doesn't fit the lines above"),
    ("expected <block end>", "the indentation doesn't fit the lines above"),
    ("expected the node content", "a value is missing"),
    ("found unexpected end of stream", "a quote or bracket isn't closed"),
    ("expected ',' or", "a bracket isn't closed, or a comma is missing"),
    ("found character '%'", "quote a value that begins with %"),
)


def explain(error: YAMLError, text: str) -> tuple[tuple[int, int], str, str]:
    """Place (line and column from 1), what was found, and a hint (may be empty)."""
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        spot = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        found = " ".join(filter(None, (error.context, error.problem)))
    elif isinstance(error, ReaderError):
        before = text[: error.position]
        spot = (before.count("\n") + 1, error.position - before.rfind("\n"))
        found = f"the character U+{ord(text[error.position]):04X}"
    else:
        spot, found = (1, 1), str(error)
    found = " ".join(found.split()) or "something else"
    return spot, found, next((hint for sign, hint in _HINTS if sign in found), "")
