"""What agent and keeper tell each other: one JSON array a packet, `[kind, field, ...]`."""

import json
from typing import NamedTuple


class Spawn(NamedTuple):
    """Agent: start this; the packet carries the file descriptors of its stdout and stderr."""

    worker: str
    arguments: list[str]
    environment: dict[str, str]
    directory: str
    data_bytes: int
    fork: bool


class Signal(NamedTuple):
    """Agent: send this signal to the worker and all it started."""

    worker: str
    number: int


class Ready(NamedTuple):
    """Keeper.

    What interpreter this is, which runtime client it has ("" = none), and what a fork would inherit.
    """

    pid: int
    python: str
    client: str
    preloaded: list[str]


class Started(NamedTuple):
    """Keeper: the worker's process; with its start time (clock ticks since boot) no other process is it."""

    worker: str
    pid: int
    start_ticks: int


class Failed(NamedTuple):
    """Keeper: it could not be started."""

    worker: str
    reason: str


class Exited(NamedTuple):
    """Keeper: the worker has ended, and so has all it started; `status` as wait(2) has it."""

    worker: str
    status: int


Message = Spawn | Signal | Ready | Started | Failed | Exited
KINDS: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (Spawn, Signal, Ready, Started, Failed, Exited)
}
# A packet is sent whole or not at all; Linux grants sockets about 200 KiB without asking.
MAX_PACKET = 160 * 1024


def encode(message: Message) -> bytes:
    """The packet. Raises ValueError when it would be too large for one."""
    packet = json.dumps([type(message).__name__, *message]).encode()
    if len(packet) > MAX_PACKET:
        raise ValueError(f"arguments and environment of {len(packet)} bytes, at most {MAX_PACKET}")
    return packet


def decode(packet: bytes) -> Message:
    """The message of a packet."""
    kind, *fields = json.loads(packet)
    return KINDS[kind](*fields)
