"""What the event queue does with an event: invoke its function, as it is deployed at that moment."""

from __future__ import annotations

from esb_gateway.access_log import Log
from esb_gateway.async_invoke.event_queue import MAX_AGE_SECONDS, QueuedEvent
from esb_gateway.deployment import Served
from esb_gateway.workers.invoker import Invoker


class Delivery:
    """Runs events one by one; the queue decides when."""

    def __init__(self, served: Served, invoker: Invoker, log: Log) -> None:
        self._served = served
        self._invoker = invoker
        self._log = log

    async def deliver(self, event: QueuedEvent) -> None:
        """Invoke the function and log how it went; its own failure counts as delivered.

        Raises:
            CallError: the box could not run it; worth another try.
        """
        target = self._served.current.targets.get(event.function)
        if target is None:
            self._log.warning("event dropped", function=event.function, request_id=event.call.request_id)
            return
        answer = await self._invoker.invoke(
            target, event.call, qualifier=event.qualifier, patience=MAX_AGE_SECONDS
        )
        write = self._log.info if answer.function_error is None else self._log.warning
        write(
            "event delivered",
            function=event.function,
            request_id=event.call.request_id,
            trace_id=event.call.trace,
            error=None if answer.function_error is None else answer.body[:500].decode("utf-8", "replace"),
        )

    def width(self, function: str) -> int:
        """Return how many events of a function may run at once: as many as it may have workers."""
        target = self._served.current.targets.get(function)
        return target.pool.limits.max if target else 1
