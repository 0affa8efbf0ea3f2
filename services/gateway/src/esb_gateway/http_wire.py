"""A response as the bytes that go out."""

from __future__ import annotations

from http import HTTPStatus

from esb_gateway.http_messages import Response

CHUNK_BYTES = 64 * 1024
BODILESS = frozenset({204, 304})


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


_STATUS_LINES = {status: _status_line(status) for status in range(200, 600)}


def encode_response(
    response: Response, date_line: bytes, *, head_only: bool, old: bool, close: bool
) -> bytes:
    """Return status line, headers and body.

    Args:
        response: its headers are taken as checked.
        date_line: what every response says, with its line end.
        head_only: HEAD was asked for.
        old: the client speaks HTTP/1.0, which knows no chunks.
        close: the connection ends here.
    """
    status, body = response.status, response.body
    parts = [_STATUS_LINES.get(status) or _status_line(status), date_line]
    for name, value in response.headers:
        parts += (name, b": ", value, b"\r\n")
    if status in BODILESS:
        parts.append(b"connection: close\r\n\r\n" if close else b"\r\n")
        return b"".join(parts)
    in_parts = response.in_parts and not old
    if in_parts:
        parts.append(b"transfer-encoding: chunked\r\n")
    else:
        length = len(body) if response.length is None else response.length
        parts.append(b"content-length: %d\r\n" % length)
    parts.append(b"connection: close\r\n\r\n" if close else b"\r\n")
    if not head_only:
        parts += _chunks(body) if in_parts else (body,)
    return b"".join(parts)


def _chunks(body: bytes) -> list[bytes]:
    parts: list[bytes] = []
    for at in range(0, len(body), CHUNK_BYTES):
        part = body[at : at + CHUNK_BYTES]
        parts += (b"%x\r\n" % len(part), part, b"\r\n")
    parts.append(b"0\r\n\r\n")
    return parts
