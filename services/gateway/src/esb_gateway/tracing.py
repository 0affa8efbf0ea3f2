"""Request ids and trace ids, and how a trace travels on to the function.

`X-Amzn-Trace-Id` comes in or is made here. It goes on as a header and, because the Runtime Interface Emulator
drops that header, once more in the client context under `custom`, where the runtime hook of the image finds
it. A function that invokes another one passes it on the same way.
"""

from __future__ import annotations

import binascii
import re
import secrets
from base64 import b64decode
from binascii import b2a_base64
from itertools import count

import orjson

from esb_gateway.errors import InvalidContentError

TRACE_KEY = "X-Amzn-Trace-Id"
_TRACE = re.compile(r"[A-Za-z0-9=;:,_./+@-]{1,512}")
_FIRST = 1 << 44  # from here on numbers have twelve digits: padding costs more than counting
_MAX_CONTEXT_BYTES = 3583  # AWS: of the encoded client context


class Ids:
    """Makes ids that differ within a run, by counting, and between runs, by their random part.

    Nobody derives rights from an id, so none needs a random number of its own.
    """

    def __init__(self) -> None:
        noise = secrets.token_hex(9)
        self._request_prefix = f"{noise[:8]}-{noise[8:12]}-4{noise[12:15]}-a{noise[15:18]}-"
        self._trace_part = secrets.token_hex(6)
        self._second, self._trace_prefix = -1, ""
        self._numbers = count(_FIRST + secrets.randbits(40))

    def request_id(self) -> str:
        """Return a new id in the form of a UUID."""
        return f"{self._request_prefix}{next(self._numbers):x}"

    def trace(self, now: float) -> str:
        """Return a new trace header value for the time `now` (seconds since the epoch)."""
        second = int(now)
        if second != self._second:
            self._second, self._trace_prefix = second, f"Root=1-{second:08x}-{self._trace_part}"
        return f"{self._trace_prefix}{next(self._numbers):x}"


def given_trace(value: bytes | None) -> str | None:
    """Return the caller's trace header when it is one line of harmless characters, else None."""
    if not value:
        return None
    text = value.decode("latin-1")
    return text if _TRACE.fullmatch(text) else None


class ClientContext:
    """What a caller put into `X-Amz-Client-Context`: a JSON object, of which `custom` may carry the trace."""

    __slots__ = ("_content",)

    def __init__(self, content: dict[str, object]) -> None:
        self._content = content

    @property
    def trace(self) -> str | None:
        """The trace id that a calling function passed on."""
        custom = self._content.get("custom")
        value = custom.get(TRACE_KEY) if isinstance(custom, dict) else None
        return value if isinstance(value, str) and _TRACE.fullmatch(value) else None

    def encoded(self, trace: str) -> str:
        """Return the header value for the worker, with the trace in it.

        Raises:
            InvalidContentError: it is nested deeper than can be written again.
        """
        custom = self._content.get("custom")
        carried = {**custom, TRACE_KEY: trace} if isinstance(custom, dict) else {TRACE_KEY: trace}
        try:
            return _base64(orjson.dumps({**self._content, "custom": carried}))
        except orjson.JSONEncodeError as error:
            raise InvalidContentError("Client context is nested too deeply.") from error


def parse_client_context(header: bytes | None) -> ClientContext | None:
    """Read the header.

    Raises:
        InvalidContentError: not base64, not a JSON object, or longer than AWS allows.
    """
    if not header:
        return None
    try:
        content = orjson.loads(b64decode(header, validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidContentError("Client context must be a valid Base64-encoded JSON object.") from error
    if not isinstance(content, dict) or len(header) > _MAX_CONTEXT_BYTES:
        raise InvalidContentError(
            f"Client context must be a Base64-encoded JSON object of at most {_MAX_CONTEXT_BYTES} bytes."
        )
    return ClientContext(content)


def bare_context(trace: str) -> str:
    """Return the header value for a call that brought no client context."""
    # Written out: a trace has no character that JSON would escape, and this runs for every call.
    return _base64(b'{"custom":{"X-Amzn-Trace-Id":"%b"}}' % trace.encode("ascii"))


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")
