"""AWS's event stream encoding (`application/vnd.amazon.eventstream`): messages with typed headers and CRCs.

    total length │ headers' length │ CRC-32 of these two │ headers │ payload │ CRC-32 of everything before
           4     │        4        │          4          │         │         │          4

A header is: name's length (1), name, type (1; 7 is text), value's length (2), value. Numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from zlib import crc32

CHUNK_BYTES = 64 * 1024
_TEXT = 7
_PRELUDE = 12
_CRC = 4


def payload_chunks(data: bytes) -> Iterator[bytes]:
    """Encode a payload as `PayloadChunk` events."""
    for start in range(0, len(data), CHUNK_BYTES):
        yield event("PayloadChunk", "application/octet-stream", data[start : start + CHUNK_BYTES])


def event(kind: str, content_type: str, payload: bytes) -> bytes:
    """Encode one event."""
    return message({":message-type": "event", ":event-type": kind, ":content-type": content_type}, payload)


def message(headers: dict[str, str], payload: bytes) -> bytes:
    """Encode one message; header names are at most 255 bytes, values 65,535."""
    encoded = b"".join(
        _header(name.encode("utf-8"), value.encode("utf-8")) for name, value in headers.items()
    )
    total = _PRELUDE + len(encoded) + len(payload) + _CRC
    lengths = struct.pack("!II", total, len(encoded))
    whole = b"".join((lengths, struct.pack("!I", crc32(lengths)), encoded, payload))
    return whole + struct.pack("!I", crc32(whole))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack("!B", len(name)) + name + struct.pack("!BH", _TEXT, len(value)) + value
