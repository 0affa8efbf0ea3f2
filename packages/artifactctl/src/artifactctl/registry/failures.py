"""What went wrong with a request, in words: from exceptions of the HTTP library and from answers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from urllib3 import exceptions

from artifactctl.registry.errors import RegistryError

# answers that may be others a moment later
BUSY = frozenset({408, 429, 500, 502, 503, 504})

_SHOWN = 300
_HINTS = {
    401: "docker login {registry}",
    403: "is this account allowed to? docker login {registry}",
    413: "a proxy before the registry may limit the size of a request",
    429: "too many requests",
}


class RefusedError(RegistryError):
    """Nobody listens there."""


def connection_error(registry: str, what: str, error: Exception) -> RegistryError:
    """An exception of the HTTP library as ours."""
    if isinstance(error, exceptions.NewConnectionError) and not isinstance(
        error, exceptions.NameResolutionError
    ):
        return RefusedError(registry, what, _text(error), hint="is the registry running?", transient=True)
    reason, hint, transient = _facts(registry, error)
    return RegistryError(registry, what, reason, hint=hint, transient=transient)


def _facts(registry: str, error: Exception) -> tuple[str, str, bool]:
    """The reason, what may help, and whether it may pass by itself."""
    match error:
        case exceptions.ProxyError():
            return f"proxy: {_text(error.original_error)}", "see HTTPS_PROXY and NO_PROXY", True
        case exceptions.NameResolutionError():
            return "its name isn't known", "see the reference and DNS", False
        case exceptions.ConnectTimeoutError():
            return "no connection in time", "is a proxy needed?", True
        case exceptions.SSLError():
            return _text(error), _tls_hint(str(error), registry), False
        case exceptions.ReadTimeoutError():
            return "nothing came for too long", "", True
    return f"the connection broke: {_text(error)}", "", True


def answer_error(
    registry: str, what: str, status: int, data: bytes, *, hint: str = "", transient: bool = False
) -> RegistryError:
    """An answer of the wrong status as an error, in the registry's own words."""
    found = hint or _HINTS.get(status, "").format(registry=registry)
    return RegistryError(
        registry, what, _message(data), status=status, hint=found, transient=transient or status in BUSY
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds the registry asks to wait, nothing when it doesn't say."""
    text = headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def _message(data: bytes) -> str:
    """`CODE: message: detail` of each error in the registry's document, or the start of what else it sent.

    A detail in words is where docker-registry says what UNKNOWN was: `no space left on device`.
    """
    try:
        errors = json.loads(data)["errors"]
        found = [": ".join(_words(one)) for one in errors]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        text = " ".join(data.decode(errors="replace").split())
        found = [] if text.startswith("<") else [text]
    return _printable("; ".join(filter(None, found)))


def _words(error: Mapping[str, object]) -> list[str]:
    detail = error.get("detail")
    while isinstance(detail, dict):  # docker-registry's file system: {"Enclosed": {"Op": "write", "Err": 28}}
        number = detail.get("Err")
        detail = os.strerror(number).lower() if isinstance(number, int) else detail.get("Enclosed")
    said = (error.get("code"), error.get("message"), detail)
    return [text for text in said if text and isinstance(text, str)]


def _tls_hint(text: str, registry: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "a private authority is given with --registry-ca FILE"
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER" in text:
        return f"plain HTTP is allowed with --insecure-registry {registry}"
    return ""


def _text(error: BaseException) -> str:
    """The innermost cause, without object addresses: the outer ones say the same at length."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    inner = [one for one in error.args if isinstance(one, BaseException)]
    if inner:
        return _text(inner[-1])
    if isinstance(error, OSError) and error.strerror:
        return _printable(error.strerror)
    return _printable(str(error).rpartition(">: ")[2])


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:_SHOWN].strip()
