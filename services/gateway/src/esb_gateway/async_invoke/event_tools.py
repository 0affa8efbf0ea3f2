"""What the process gives to all parts of the event queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from attrs import frozen

from esb_gateway.access_log import Log
from esb_gateway.clock import Clock
from esb_gateway.stats import GatewayStats
from esb_gateway.tracing import Ids


@frozen
class EventTools:
    """Counters, clocks, new ids, the log, and how work is started that nobody waits for."""

    stats: GatewayStats
    clock: Clock
    ids: Ids
    log: Log
    background: Callable[[Coroutine[object, object, None]], asyncio.Task[None]]
