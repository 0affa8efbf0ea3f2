"""The Engine API's JSON and framing, in and out of the driver's words. No connection here."""

import json
import struct
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from esb_agent.drivers.docker.container import Found

STREAMS = {1: "stdout", 2: "stderr"}
FRAME = struct.Struct(">BxxxL")


def filters(labels: Mapping[str, str], **others: Iterable[str]) -> str:
    """The engine's way of saying which."""
    wanted = {"label": [f"{name}={value}" for name, value in labels.items()]}
    return json.dumps({**wanted, **{name: list(values) for name, values in others.items()}})


def split_frames(data: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
    """The engine's framing of two streams in one: the whole frames, and what is left."""
    frames, at = [], 0
    while len(data) - at >= FRAME.size:
        stream, length = FRAME.unpack_from(data, at)
        end = at + FRAME.size + length
        if end > len(data):
            break
        frames.append((STREAMS.get(stream, "stdout"), data[at + FRAME.size : end]))
        at = end
    return frames, data[at:]


def to_found(inspected: Mapping[str, Any]) -> Found:
    """From the engine's JSON."""
    state = inspected["State"]
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    addresses = [network.get("IPAddress") for network in networks.values() if network.get("IPAddress")]
    return Found(
        container_id=inspected["Id"],
        labels=inspected["Config"].get("Labels") or {},
        status=state["Status"],
        address=addresses[0] if addresses else "",
        started_unix_ms=unix_ms(state.get("StartedAt", "")),
        exit_code=state.get("ExitCode", 0),
        oom_killed=bool(state.get("OOMKilled")),
    )


def unix_ms(moment: str) -> int:
    """Of the engine's time, which has nanoseconds; 0 for its "never"."""
    if not moment or moment.startswith("0001-"):
        return 0
    whole, _, fraction = moment.rstrip("Z").partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp() * 1000) + int(f"{fraction[:3]:0<3}" or 0)


def parse_version(version: str) -> tuple[int, int]:
    """(1, 45) of "1.45"."""
    major, _, minor = version.partition(".")
    return int(major), int(minor)


def text(version: tuple[int, int]) -> str:
    """`v1.45`."""
    return f"v{version[0]}.{version[1]}"
