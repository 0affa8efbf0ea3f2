"""Readers of the sections of a function and a route: scaling, events, URL, access, CORS (contract §9).

What guards a function is read more strictly than the rest: in `auth` and `function_url`, a key that they
don't have and one without a value are errors, as a misspelt or unfinished line would leave open what was
meant to be closed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from artifact_contract.config_fields import (
    Check,
    FieldPath,
    FieldReader,
    of_form,
    one_of,
    positive,
    read_fields,
    seconds,
    switch,
    text,
    text_list,
    texts,
    whole,
    within,
)
from artifact_contract.config_sandbox import SANDBOX_KEY, sandbox
from artifact_contract.config_types import (
    AsyncInvoke,
    Cors,
    FunctionUrl,
    RouteAuth,
    Scaling,
    ScheduleEvent,
)
from artifact_contract.errors import FieldError, Severity
from artifact_contract.nodes import Mapping as MappingNode
from artifact_contract.nodes import Node, Scalar, Sequence, as_text, describe, is_null, quote
from artifact_contract.paths import parse_segment

# the form of an IANA name; whether there is such a zone is found out by whoever has the zones
TIME_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,31}){0,2}")
SCHEDULE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_AUTH_TYPES = "none, api_key, jwt or closed"
_LAMBDA_ARN = re.compile(
    r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:(?P<name>[^:/\\]+)(?::[A-Za-z0-9$_-]+)?"
)
STAGE_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}|\$default")
# CORS values become header lines: no line break, no list separator
CORS_WORD = re.compile(r"[!-+\--~]+")


def scaling(check: Check, node: Node, path: FieldPath, key: str) -> Scaling | None:
    """How many workers there may be; what the contract doesn't name is left out."""
    values = read_fields(check, node, (*path, key), _SCALING_FIELDS)
    values.pop("extra", None)
    result = Scaling(**values)
    least, most = result.min_capacity, result.max_capacity
    if least is not None and most is not None and least > most:
        check.report(
            (*path, key, "min_capacity"), f"at most max_capacity, {most}", str(least), Severity.STRICT
        )
    return result


def events(check: Check, node: Node, path: FieldPath, key: str) -> tuple[ScheduleEvent, ...] | None:
    """The schedules; an event of another sort is a warning and left out."""
    found: list[ScheduleEvent] = []
    for index, item in enumerate(check.sequence(node, (*path, key))):
        full = (*path, key, index)
        for sort, body in check.mapping(item, full).items():
            if sort != "schedule":
                check.report((*full, sort), "schedule, the only event there is", quote(sort), Severity.STRICT)
                continue
            values = read_fields(check, body, (*full, sort), _SCHEDULE_FIELDS)
            values.pop("extra", None)
            if "rate" not in values:
                check.missing((*full, sort, "rate"), "a rate(...) or cron(...) expression")
                continue
            event = ScheduleEvent(**values)
            if event.name and any(event.name == other.name for other in found):
                expected = "a name that no other schedule of the function has"
                check.report((*full, sort, "name"), expected, quote(event.name))
            found.append(event)
    return tuple(found) or None


def cors(check: Check, node: Node, path: FieldPath, key: str) -> Cors | None:
    """What other origins may do; what the contract doesn't name is left out."""
    if is_null(node):
        return None
    values = read_fields(check, node, (*path, key), _CORS_FIELDS)
    values.pop("extra", None)
    if "allow_methods" in values:
        values["allow_methods"] = tuple(method.upper() for method in values["allow_methods"])
    return Cors(**values)


def _header_words(check: Check, node: Node, path: FieldPath, key: str) -> tuple[str, ...] | None:
    values = text_list(check, node, path, key)
    for index, item in enumerate(node.items if isinstance(node, Sequence) else ()):
        if isinstance(item, Scalar) and as_text(item) and not CORS_WORD.fullmatch(item.text):
            check.report((*path, key, index), "a word without blanks and commas", quote(item.text))
    return values


def route_auth(check: Check, node: Node, path: FieldPath, key: str) -> RouteAuth | None:
    """Who may call a route; never None for a section that is there, as None is an open route."""
    full = (*path, key)
    if not isinstance(node, MappingNode):  # a null too: an unfinished line must not open a route
        check.report(full, "a mapping with a type", describe(node))
        return None
    values = _closed_fields(check, node, full, _AUTH_FIELDS)
    if "type" not in values:
        check.missing((*full, "type"), _AUTH_TYPES)
        return None
    if values["type"] != "jwt":
        for name in values.keys() - {"type"}:
            check.report((*full, name), "nothing, as only jwt has it", describe(node.items[name]))
    return RouteAuth(**values)


def function_url(check: Check, node: Node, path: FieldPath, key: str) -> FunctionUrl | None:
    """A function's own URL; a null is none."""
    return None if is_null(node) else FunctionUrl(**_closed_fields(check, node, (*path, key), _URL_FIELDS))


def _closed_fields(
    check: Check, node: Node, path: FieldPath, readers: Mapping[str, FieldReader]
) -> dict[str, Any]:
    values = read_fields(check, node, path, readers)
    for name, item in node.items.items() if isinstance(node, MappingNode) else ():
        if isinstance(item, Scalar) and not as_text(item):
            check.missing((*path, name), "a value, or no such line")
    for name in values.pop("extra", ()):
        check.report((*path, name), f"one of {', '.join(readers)}", "an unknown key")
    return values


def async_invoke(check: Check, node: Node, path: FieldPath, key: str) -> AsyncInvoke | None:
    """How events are kept and given up; what the contract doesn't name is left out."""
    if is_null(node):
        return None
    values = read_fields(check, node, (*path, key), _ASYNC_FIELDS)
    values.pop("extra", None)
    return AsyncInvoke(**values)


def _function_reference(check: Check, node: Node, path: FieldPath, key: str) -> str | None:
    value = text(check, node, path, key)
    if value is not None and function_of(value) is None:
        check.report((*path, key), "a function's name or a Lambda ARN", quote(value))
    return value


def function_of(reference: str) -> str | None:
    """The function that a name or a Lambda ARN means; None when it is neither."""
    if reference.startswith("arn:"):
        found = _LAMBDA_ARN.fullmatch(reference)
        return found["name"] if found else None
    try:
        return parse_segment(reference)
    except FieldError:
        return None


_SCALING_FIELDS: Mapping[str, FieldReader] = {
    "min_capacity": whole,
    "max_capacity": whole,
    "idle_timeout": seconds,
    "acquire_timeout": seconds,
}
_SCHEDULE_FIELDS: Mapping[str, FieldReader] = {
    "rate": text,
    "input": text,
    "timezone": of_form(TIME_ZONE, "the name of a time zone, as Europe/Berlin"),
    "enabled": switch,
    "name": of_form(SCHEDULE_NAME, "up to 64 letters, digits, dots, dashes and underscores"),
}
_CORS_FIELDS: Mapping[str, FieldReader] = {
    "allow_origins": _header_words,
    "allow_methods": _header_words,
    "allow_headers": _header_words,
    "expose_headers": _header_words,
    "allow_credentials": switch,
    "max_age": whole,
}
_AUTH_FIELDS: Mapping[str, FieldReader] = {
    "type": one_of("none", "api_key", "jwt", "closed"),
    "issuer": text,
    "audience": text_list,
    "scopes": text_list,
}
_URL_FIELDS: Mapping[str, FieldReader] = {
    "auth_type": one_of("NONE", "AWS_IAM"),
    "invoke_mode": one_of("BUFFERED", "RESPONSE_STREAM"),
    "cors": cors,
}
_ASYNC_FIELDS: Mapping[str, FieldReader] = {
    "max_age": within(60, 21600),  # seconds: a minute to six hours, as Lambda's
    "max_retries": within(0, 2),
    "on_failure": _function_reference,
}
DEFAULTS_FIELDS: Mapping[str, FieldReader] = {
    "environment": texts,
    "scaling": scaling,
    "timeout": positive,
    "memory_size": positive,
    "runtime": text,
    "handler": text,
    "architectures": text_list,
}
FUNCTION_FIELDS: Mapping[str, FieldReader] = {
    **DEFAULTS_FIELDS,
    "image": text,
    "events": events,
    "function_url": function_url,
    "async_invoke": async_invoke,
    "description": text,
    SANDBOX_KEY: sandbox,
}
ROUTE_FIELDS: Mapping[str, FieldReader] = {
    "path": text,
    "method": text,
    "function": text,
    "payload_version": text,
    "api_type": one_of("rest", "http"),
    "stage": of_form(STAGE_NAME, "up to 128 letters, digits, dashes and underscores, or $default"),
    "auth": route_auth,
    "cors": cors,
}
