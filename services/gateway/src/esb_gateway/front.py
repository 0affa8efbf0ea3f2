"""What both doors (Lambda API and routes) work with."""

from __future__ import annotations

from attrs import frozen

from esb_gateway.access_log import AccessLog, Log
from esb_gateway.clock import Clock
from esb_gateway.deployment import Served
from esb_gateway.tracing import Ids
from esb_gateway.workers.invoker import Invoker


@frozen
class Front:
    """The served deployment, the way to run a call, and what every request needs."""

    served: Served
    invoker: Invoker
    access: AccessLog
    clock: Clock
    ids: Ids
    log: Log
