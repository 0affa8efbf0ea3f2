"""A worker as its pool keeps it, the ways to it, and what pools are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Protocol

from attrs import field, frozen

from esb_gateway.workers.agent import Agent
from esb_gateway.workers.ledger import Ledger
from esb_gateway.workers.worker_channel import WorkerAnswer


@frozen
class PoolLimits:
    """How many workers and how long; times in seconds. `min` above `max` counts as `max`.

    `pause_after` is None where idle workers are left running. `reserved`: `max` is the function's own, not
    the gateway's default.
    """

    min: int = 0
    max: int = 10
    idle_timeout: float = 300.0
    acquire_timeout: float = 10.0
    queue: int = 100
    pause_after: float | None = None
    reserved: bool = False


class Channel(Protocol):
    """The data path to a worker; `WorkerChannel` is the real one."""

    @property
    def alive(self) -> bool:
        """False when the worker's side has hung up."""

    async def call(self, head: bytes, body: bytes, within: float) -> WorkerAnswer:
        """Send one request and wait for its answer."""

    async def connect(self, within: float) -> None:
        """Open the connection ahead of the first call."""

    def close(self) -> None:
        """Drop the connection."""


@frozen
class PoolTools:
    """What pools share; `background` starts work that nobody awaits, `warn` writes a log line."""

    agent: Agent
    open_channel: Callable[[str], Channel]
    new_worker_id: Callable[[str], str]
    monotonic: Callable[[], float]
    background: Callable[[Coroutine[object, object, None]], asyncio.Task[None]]
    warn: Callable[..., object]
    ledger: Ledger = field(init=False)

    @ledger.default
    def _make_ledger(self) -> Ledger:
        return Ledger(self.agent, self.background, self.warn)


class Worker:
    """A worker as its pool keeps it. `pausing` is the request that froze it, or is about to."""

    __slots__ = ("channel", "idle_since", "pausing", "worker_id")

    def __init__(self, worker_id: str, channel: Channel) -> None:
        self.worker_id = worker_id
        self.channel = channel
        self.idle_since = 0.0
        self.pausing: asyncio.Task[None] | None = None
