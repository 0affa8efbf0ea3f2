"""What a registry wants to see from whom it doesn't know: the header `WWW-Authenticate` (RFC 9110, 11)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import field, frozen

_SCHEME = re.compile(r"[,\s]*([A-Za-z][A-Za-z0-9_-]*)(?=\s|,|$)\s*")
_PARAMETER = re.compile(r'[,\s]*([A-Za-z_][A-Za-z0-9_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@frozen
class Challenge:
    """One way to say who we are; the scheme is in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(factory=dict)


def parse_challenges(header: str) -> list[Challenge]:
    """All challenges of a header; what can't be read ends the list."""
    found: list[Challenge] = []
    position = 0
    while position < len(header):
        scheme = _SCHEME.match(header, position)
        if not scheme:
            break
        position = scheme.end()
        parameters: dict[str, str] = {}
        while parameter := _PARAMETER.match(header, position):
            quoted = parameter[2]
            parameters[parameter[1].lower()] = (
                parameter[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            )
            position = parameter.end()
        found.append(Challenge(scheme[1].lower(), parameters))
    return found


def best_challenge(header: str) -> Challenge | None:
    """The one we can answer: a token before a password sent along each time."""
    by_scheme = {one.scheme: one for one in reversed(parse_challenges(header))}
    return by_scheme.get("bearer") or by_scheme.get("basic")
