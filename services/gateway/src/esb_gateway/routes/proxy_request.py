"""An HTTP request on its way to a function: what both event formats are made from."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256

from attrs import define, frozen

from esb_gateway.routes.client import Client
from esb_gateway.routes.router import Match

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TEXT_TYPES = frozenset(
    {
        "application/json",
        "application/javascript",
        "application/xml",
        "application/x-ndjson",
        "application/yaml",
        "application/graphql",
    }
)
# What a client makes up is not remembered when it is longer: memory would be its to fill.
_KEPT = 256
_FORM = "application/x-www-form-urlencoded"
_LOOKED_AT = frozenset({"host", "user-agent", "content-type", "x-forwarded-for"})
# Said by the gateway, whatever the client says; or about the connection to it, which ends here.
_NOT_PASSED = frozenset(
    {
        *("x-amzn-trace-id", "x-forwarded-port", "x-forwarded-proto"),
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        "expect",
    }
)


@frozen(cache_hash=True)
class ApiIdentity:
    """What stands for an API of the cloud in this box; the same for all routes."""

    account_id: str = "000000000000"
    api_id: str = "local"
    rest_stage: str = "Prod"
    http_stage: str = "$default"


@frozen
class Caller:
    """Who calls, as the gate before the route found out; empty where nobody was asked.

    `claims` and `scopes` are a token's, `iam` what a signature told (the fields of `authorizer.iam`).
    """

    api_key: str | None = None
    api_key_id: str | None = None
    claims: Mapping[str, object] | None = None
    scopes: tuple[str, ...] | None = None
    iam: Mapping[str, str | None] | None = None


NOBODY = Caller()


@define
class ProxyRequest:
    """One request and the route it matched; nobody changes it (freezing would cost as much as reading it).

    `headers` are in the order and, where the server keeps it, the spelling they were sent in; `now` is
    seconds since the epoch.
    """

    match: Match
    method: str
    raw_path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    client: Client
    protocol: str
    request_id: str
    trace: str
    now: float
    identity: ApiIdentity
    caller: Caller = NOBODY


@define
class HeaderTexts:
    """The headers as text, (name as sent, in lower case, value), and three that are needed apart."""

    fields: list[tuple[str, str, str]]
    host: str
    user_agent: str
    content_type: str


def header_texts(request: ProxyRequest) -> HeaderTexts:
    """Read the headers, with those that API Gateway adds."""
    fields: list[tuple[str, str, str]] = []
    client = request.client
    host = user_agent = content_type = forwarded = ""
    for raw_name, raw_value in request.headers:
        name, lowered, special = _names(raw_name) if len(raw_name) < _KEPT else _read_names(raw_name)
        value = _text(raw_value)
        if special:
            if lowered == "host":
                host = value
            elif lowered == "user-agent":
                user_agent = value
            elif lowered == "content-type":
                content_type = value
            else:
                if lowered == "x-forwarded-for":
                    forwarded += f"{value}, "
                continue
        fields.append((name, lowered, value))
    fields.append(("X-Amzn-Trace-Id", "x-amzn-trace-id", request.trace))
    fields.append(("X-Forwarded-For", "x-forwarded-for", forwarded + client.peer))
    fields.append(("X-Forwarded-Port", "x-forwarded-port", str(client.port)))
    fields.append(("X-Forwarded-Proto", "x-forwarded-proto", client.scheme))
    return HeaderTexts(fields, client.host or host, user_agent, content_type)


def event_body(body: bytes, content_type: str, *, forms_are_text: bool) -> tuple[str, bool]:
    """Return the body as an event carries it, and whether it is base64.

    Text is what its content type says is text, or has no content type, and is UTF-8.
    """
    kind = content_type.partition(";")[0].strip().lower()
    textual = (
        kind in _TEXT_TYPES
        or not kind
        or kind.startswith("text/")
        or kind.endswith(("+json", "+xml"))
        or (forms_are_text and kind == _FORM)
    )
    if textual:
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass  # it says text and is not: base64 loses nothing
    return b64encode(body).decode("ascii"), True


@lru_cache(maxsize=64)
def request_time(second: int) -> str:
    """Return `04/Mar/2020:19:15:17 +0000` for a second since the epoch, whatever the locale."""
    moment = time.gmtime(second)
    return (
        f"{moment.tm_mday:02d}/{_MONTHS[moment.tm_mon - 1]}/{moment.tm_year:04d}:"
        f"{moment.tm_hour:02d}:{moment.tm_min:02d}:{moment.tm_sec:02d} +0000"
    )


def resource_id(path: str) -> str:
    """Return a stable id of six letters and digits for a resource path."""
    return sha256(path.encode()).hexdigest()[:6]


def domain(host: str) -> tuple[str, str]:
    """Return domain name and prefix (first label) of a Host header."""
    return _domain(host) if len(host) < _KEPT else _read_domain(host)


def _read_domain(host: str) -> tuple[str, str]:
    name = host[: host.rindex(":")] if ":" in host and not host.endswith("]") else host
    return name, name.partition(".")[0]


_domain = lru_cache(maxsize=1024)(_read_domain)


def _read_names(raw: bytes) -> tuple[str, str, bool]:
    """A header's name, in lower case too, and whether there is more to do than to pass it on."""
    name = raw.decode("latin-1")
    lowered = name.lower()
    return name, lowered, lowered in _LOOKED_AT or lowered in _NOT_PASSED


_names = lru_cache(maxsize=4096)(_read_names)


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
