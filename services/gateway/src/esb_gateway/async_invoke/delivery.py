"""What the event queue does with an event: invoke its function, as it is deployed at that moment."""

from __future__ import annotations

from typing import Protocol

from esb_gateway.async_invoke.event_rows import StoredEvent
from esb_gateway.async_invoke.failures import Rules, rules_of
from esb_gateway.deployment import Served
from esb_gateway.errors import UnknownFunctionError
from esb_gateway.workers.invoker import Answer, Invoker


class Runner(Protocol):
    """What the queue needs of the rest of the gateway."""

    async def run(self, event: StoredEvent, body: bytes, patience: float) -> Answer:
        """Invoke the function, waiting `patience` seconds for a worker; its own failure is an Answer.

        Raises:
            CallError: the box could not run it; worth another try.
        """

    def width(self, function: str) -> int:
        """Return how many events of a function may run at once; 0: none now, they are kept."""

    def rules(self, function: str) -> Rules:
        """Return what holds for a function's events now."""

    def arn(self, function: str) -> str:
        """Return the ARN of a function, deployed or not."""


class Delivery:
    """`Runner` over the served deployment."""

    def __init__(self, served: Served, invoker: Invoker) -> None:
        self._served = served
        self._invoker = invoker

    async def run(self, event: StoredEvent, body: bytes, patience: float) -> Answer:
        """Invoke the function."""
        target = self._served.current.targets.get(event.function)
        if target is None:
            raise UnknownFunctionError(f"Function not found: {self.arn(event.function)}")
        return await self._invoker.invoke(
            target, event.call(body), qualifier=event.qualifier, patience=patience
        )

    def width(self, function: str) -> int:
        """As many as it may have workers; none while it is not deployed."""
        target = self._served.current.targets.get(function)
        return target.pool.limits.max if target else 0

    def rules(self, function: str) -> Rules:
        """Return the function's `async_invoke`; AWS's defaults while it is not deployed."""
        written = self._served.current.written.functions.get(function)
        return rules_of(written.async_invoke) if written and written.async_invoke else Rules()

    def arn(self, function: str) -> str:
        """Return the ARN of `$LATEST`, which is what runs."""
        return f"{self._served.current.arn_of(function)}:$LATEST"
