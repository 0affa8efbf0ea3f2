"""Cross-origin rules of HTTP APIs, REST APIs and function URLs, as AWS answers them.

HTTP APIs and function URLs: the gateway answers preflights itself (204) and says on every answer, errors
included, which origin may read it; what the function says about it is dropped. REST APIs: an OPTIONS method
beside the route answers with the configured values, real answers are the function's alone.

    Cors(allow_origins=("https://*.example.com",))  +  Origin: https://app.example.com
        ->  access-control-allow-origin: https://app.example.com,  vary: Origin

Origins are exact, `*` (all) or hold a `*` for any run of characters without a slash; AWS knows
`https://*` and `http://*`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from artifact_contract.config_types import Cors
from attrs import evolve, frozen

from esb_gateway.http_messages import Header, Response

ALL_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_NAMES = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?: *, *[!#$%&'*+.^_`|~0-9A-Za-z-]+)*")
_CONTROL = bytes([*range(32), 127])
_LONGEST_ORIGIN = 512  # a host name has 253 at most; patterns take their time with longer texts
_ANY = "*"
_VARY: Header = (b"vary", b"Origin")
_CREDENTIALS: Header = (b"access-control-allow-credentials", b"true")
_OURS = frozenset(
    {
        b"access-control-allow-origin",
        b"access-control-allow-credentials",
        b"access-control-allow-methods",
        b"access-control-allow-headers",
        b"access-control-expose-headers",
        b"access-control-max-age",
    }
)


@frozen
class CorsRules:
    """Cors, ready to be asked. `credentials` is False where all origins are allowed: browsers refuse both."""

    any_origin: bool
    origins: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]
    credentials: bool
    methods: tuple[str, ...]
    headers: tuple[str, ...]
    exposed: tuple[str, ...]
    max_age: int | None

    def allows(self, origin: str) -> bool:
        """Whether pages of that origin may read answers."""
        lowered = origin.lower()
        if self.any_origin or lowered in self.origins:
            return True
        return len(origin) <= _LONGEST_ORIGIN and any(p.fullmatch(lowered) for p in self.patterns)


@lru_cache(maxsize=1024)
def cors_rules(cors: Cors) -> CorsRules:
    """Understand the configured values; equal ones give the same object."""
    origins = [origin.lower().rstrip("/") for origin in cors.allow_origins]
    any_origin = _ANY in origins
    return CorsRules(
        any_origin=any_origin,
        origins=frozenset(origin for origin in origins if _ANY not in origin),
        patterns=tuple(_pattern(origin) for origin in origins if _ANY in origin and origin != _ANY),
        credentials=cors.allow_credentials and not any_origin,
        methods=tuple(method.upper() for method in cors.allow_methods),
        headers=cors.allow_headers,
        exposed=cors.expose_headers,
        max_age=cors.max_age,
    )


def with_methods(rules: CorsRules, methods: tuple[str, ...]) -> CorsRules:
    """The rules with these methods, unless they name some."""
    return rules if rules.methods else evolve(rules, methods=methods)


def preflight_of(rules: CorsRules, headers: dict[bytes, bytes]) -> Response:
    """Answer a preflight: 204, with the values when the origin is allowed and without them when it is not."""
    answer = _origin_headers(rules, headers.get(b"origin"))
    if answer:
        answer += _permissions(rules, headers)
    return Response(204, answer, b"")


def mock_of(rules: CorsRules, headers: dict[bytes, bytes]) -> Response:
    """Answer OPTIONS of a REST API as its mock integration does: 200 and `{}`.

    A single configured origin is said to everybody, of several the one that asks.
    """
    answer = _origin_headers(rules, headers.get(b"origin"))
    if not answer and len(rules.origins) == 1 and not rules.patterns:
        answer = [(b"access-control-allow-origin", _joined(tuple(rules.origins)))]
    if answer:
        answer += _permissions(rules, headers)
    return Response(200, [(b"content-type", b"application/json"), *answer], b"{}\n")


def add_cors(rules: CorsRules, origin: bytes | None, headers: list[Header]) -> None:
    """Say on an answer who may read it, in place of what the function said."""
    headers[:] = [header for header in headers if header[0] not in _OURS]
    own = _origin_headers(rules, origin)
    if own:
        headers += own
        if rules.exposed:
            headers.append((b"access-control-expose-headers", _joined(rules.exposed)))


def _origin_headers(rules: CorsRules, origin: bytes | None) -> list[Header]:
    """Nothing for requests without an origin, and for origins that are not allowed."""
    if not origin or not rules.allows(origin.decode("latin-1")):
        return []
    if rules.any_origin:
        return [(b"access-control-allow-origin", b"*")]
    answer: list[Header] = [(b"access-control-allow-origin", origin), _VARY]
    if rules.credentials:
        answer.append(_CREDENTIALS)
    return answer


def _permissions(rules: CorsRules, asked: dict[bytes, bytes]) -> list[Header]:
    answer: list[Header] = []
    if rules.methods:
        methods = _listed(rules, rules.methods, asked.get(b"access-control-request-method"))
        answer.append((b"access-control-allow-methods", methods))
    if rules.headers:
        names = _listed(rules, rules.headers, asked.get(b"access-control-request-headers"))
        answer.append((b"access-control-allow-headers", names))
    if rules.max_age is not None:
        answer.append((b"access-control-max-age", b"%d" % rules.max_age))
    return answer


def _listed(rules: CorsRules, configured: tuple[str, ...], asked: bytes | None) -> bytes:
    """With credentials browsers take `*` for a name: then what is asked for stands in its place."""
    if rules.credentials and _ANY in configured and asked and _NAMES.fullmatch(asked):
        return asked
    return _joined(configured)


def _joined(values: tuple[str, ...]) -> bytes:
    return ",".join(values).encode("latin-1", "replace").translate(None, _CONTROL)


def _pattern(origin: str) -> re.Pattern[str]:
    return re.compile("[^/]*".join(re.escape(part) for part in origin.split(_ANY)))
