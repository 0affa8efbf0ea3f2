"""How callers name a function: name, partial ARN or ARN, each with or without a qualifier.

A box runs one version of each function, so that every well-formed qualifier (`$LATEST`, a number, an alias)
means it. Region and account of an ARN are not compared: templates and code written for the cloud keep
working.

    resize  resize:live  123456789012:resize  123456789012:function:resize
    arn:aws:lambda:eu-west-1:123456789012:function:resize:7
"""

from __future__ import annotations

import re
from functools import lru_cache

from attrs import frozen

from esb_gateway.errors import InvalidNameError, InvalidParameterError

_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?"
    r"(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
_NAME = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:[a-z0-9-]+:\d{12}:function:|(?:\d{12}:)?(?:function:)?)"
    r"(?P<name>[a-zA-Z0-9_.-]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?"
)
_QUALIFIER = re.compile(r"\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]{1,128}")
_MAX_LENGTH = 256


@frozen
class FunctionName:
    """A function as a caller named it."""

    name: str
    qualifier: str | None


ALL_FUNCTIONS = FunctionName("", None)  # for what is about no function in particular


@lru_cache(maxsize=1024)
def parse_function_name(text: str) -> FunctionName:
    """Read any of the forms above.

    Raises:
        InvalidNameError: none of them.
    """
    match = _NAME.fullmatch(text)
    if match is None or len(text) > _MAX_LENGTH:
        raise InvalidNameError(
            f"1 validation error detected: Value '{text[:_MAX_LENGTH]}' at 'functionName' failed to satisfy "
            f"constraint: Member must satisfy regular expression pattern: {_PATTERN}"
        )
    return FunctionName(match["name"], match["qualifier"])


def with_qualifier(named: FunctionName, parameter: str | None) -> FunctionName:
    """Combine the name with the request's `Qualifier` parameter.

    Raises:
        InvalidParameterError: it is malformed, or contradicts the qualifier in the name.
    """
    if parameter is None:
        return named
    if not _QUALIFIER.fullmatch(parameter):
        raise InvalidParameterError(f"Value '{parameter[:128]}' at 'qualifier' is no version or alias.")
    if named.qualifier not in (None, parameter):
        raise InvalidParameterError(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    return FunctionName(named.name, parameter)
