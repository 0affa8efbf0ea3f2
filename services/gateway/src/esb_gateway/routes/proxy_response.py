"""What a function answered to a route, read as API Gateway reads it.

Payload 1.0 wants an object with `statusCode`; 2.0 also takes anything else, as the body of a 200 (HTTP APIs
take a text without its quotes, function URLs with them). Whatever breaks these rules is a
MalformedAnswerError, which the client sees as 502.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from functools import lru_cache

import orjson

from esb_gateway.errors import MalformedAnswerError
from esb_gateway.http_messages import Header, Response
from esb_gateway.http_wire import BODILESS

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# The connection is the gateway's: how the body is framed is not the function's to say.
_NOT_PASSED = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
    }
)
_JSON: Header = (b"content-type", b"application/json")
_STREAM: Header = (b"content-type", b"application/octet-stream")
_PLAIN: Header = (b"content-type", b"text/plain;charset=UTF-8")
# REST APIs keep these for themselves and pass the function's on under another name.
_REMAPPED = frozenset({b"date", b"server", b"www-authenticate"})


def read_answer(payload: bytes, payload_version: str, api_type: str) -> Response:
    """Read a function's answer to a route.

    Raises:
        MalformedAnswerError: saying what is wrong with it, for the log.
    """
    answer = _parsed(payload)
    if payload_version == "1.0":
        if not isinstance(answer, dict):
            raise MalformedAnswerError(f"expected an object with statusCode, found {_kind(answer)}")
        return _full_form(answer, default_type=_JSON, cookies=False, rest=api_type == "rest")
    if isinstance(answer, dict) and "statusCode" in answer:
        return _full_form(answer, default_type=_PLAIN, cookies=True, rest=api_type == "rest")
    # A text goes out as it is, everything else as the JSON the function made of it.
    body = answer.encode("utf-8", "replace") if isinstance(answer, str) else payload
    return Response(200, [_JSON], body)


def read_url_answer(payload: bytes) -> Response:
    """Read a function's answer to its URL.

    Raises:
        MalformedAnswerError: saying what is wrong with it, for the log.
    """
    answer = _parsed(payload)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return Response(200, [_JSON], payload)
    return _full_form(answer, default_type=_JSON, cookies=True, rest=False)


def read_prelude(prelude: bytes) -> Response:
    """Read what a streaming function says before its body: status, headers and cookies.

    Raises:
        MalformedAnswerError: saying what is wrong with it, for the log.
    """
    answer = _parsed(prelude)
    if not isinstance(answer, dict):
        raise MalformedAnswerError(f"expected an object before the body, found {_kind(answer)}")
    return _full_form({"statusCode": 200, **answer}, default_type=_STREAM, cookies=True, rest=False)


def _keep_own(headers: list[Header], *, rest: bool) -> None:
    """The time of an answer is the gateway's to say; REST APIs rename what they keep, HTTP APIs drop it."""
    for at in range(len(headers) - 1, -1, -1):
        name, value = headers[at]
        if rest and name in _REMAPPED:
            headers[at] = (b"x-amzn-remapped-" + name, value)
        elif name == b"date":
            del headers[at]


def _parsed(payload: bytes) -> object:
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        pass
    try:  # lone surrogates and NaN: Python functions can produce them, orjson takes neither
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise MalformedAnswerError(f"expected JSON: {error}") from error


def _full_form(answer: dict[str, object], *, default_type: Header, cookies: bool, rest: bool) -> Response:
    status = _status(answer.get("statusCode"))
    headers = _headers(answer.get("headers"), answer.get("multiValueHeaders"))
    if cookies:
        headers += _cookies(answer.get("cookies"))
    names = dict(headers)
    if b"content-type" not in names:
        headers.append(default_type)
    if not _REMAPPED.isdisjoint(names):
        _keep_own(headers, rest=rest)
    body = _body(answer.get("body"), is_base64=answer.get("isBase64Encoded"))
    return Response(status, headers, b"" if status in BODILESS else body)


def _status(value: object) -> int:
    if type(value) is int and 200 <= value <= 599:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # 1xx would leave the client waiting for the real answer.
    if not isinstance(value, int) or isinstance(value, bool) or not 200 <= value <= 599:
        raise MalformedAnswerError(f"statusCode: expected a number from 200 to 599, found {value!r}")
    return value


def _headers(single: object, multi: object) -> list[Header]:
    """Merge both: a name has the values of `multiValueHeaders`, then the one of `headers` if it is new."""
    if multi is None and isinstance(single, dict):
        headers = _single(single)
        if headers is not None:
            return headers
    merged: dict[str, list[str]] = {}
    for name, values in _mapping(multi, "multiValueHeaders").items():
        if not isinstance(values, list):
            raise MalformedAnswerError(f"multiValueHeaders.{name}: expected a list, found {_kind(values)}")
        merged.setdefault(name.lower(), []).extend(_scalar(value, name) for value in values)
    for name, value in _mapping(single, "headers").items():
        known = merged.setdefault(name.lower(), [])
        text = _scalar(value, name)
        if text not in known:
            known.append(text)
    return [
        _header(name, value) for name, values in merged.items() if name not in _NOT_PASSED for value in values
    ]


def _single(fields: dict[str, object]) -> list[Header] | None:
    """The usual answer's headers, in one pass; None where it takes more than that."""
    headers: list[Header] = []
    seen: set[bytes] = set()
    for name, value in fields.items():
        encoded = _wire_name(name)
        if not encoded or encoded in seen or type(value) is not str or not value.isprintable():
            return None
        seen.add(encoded)
        headers.append((encoded, value.strip().encode("utf-8", "replace")))
    return headers


def _header(name: str, value: str) -> Header:
    encoded = _header_name(name)
    if not encoded or _CONTROL.search(value):
        raise MalformedAnswerError(f"header {name!r}: not allowed in HTTP")
    return encoded, value.strip().encode("utf-8", "replace")


@lru_cache(maxsize=1024)
def _wire_name(name: str) -> bytes:
    """The name in lower case; empty if it is none, or none that is passed on."""
    lowered = name.lower()
    return b"" if lowered in _NOT_PASSED else _header_name(lowered)


@lru_cache(maxsize=1024)
def _header_name(name: str) -> bytes:
    """The name for the wire; empty if it can't be a header's name."""
    return name.encode("ascii") if _TOKEN.fullmatch(name) else b""


def _mapping(value: object, field: str) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedAnswerError(f"{field}: expected an object, found {_kind(value)}")
    return value


def _scalar(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise MalformedAnswerError(f"header {name}: expected text, found {_kind(value)}")


def _cookies(value: object) -> list[Header]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedAnswerError(f"cookies: expected a list, found {_kind(value)}")
    return [_header("set-cookie", _scalar(cookie, "cookies")) for cookie in value]


def _body(value: object, *, is_base64: object) -> bytes:
    if value is None:
        return b""
    if not isinstance(value, str):
        raise MalformedAnswerError(f"body: expected a string, found {_kind(value)}")
    if is_base64 in (None, False):
        return value.encode("utf-8", "replace")
    if is_base64 is not True:
        raise MalformedAnswerError(f"isBase64Encoded: expected true or false, found {_kind(is_base64)}")
    try:
        return b64decode(value)
    except (binascii.Error, ValueError) as error:
        raise MalformedAnswerError(f"body: {error}") from error


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
