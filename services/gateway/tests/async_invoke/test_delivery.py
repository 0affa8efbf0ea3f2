import pytest
from esb_gateway.async_invoke.delivery import Delivery
from esb_gateway.async_invoke.event_rows import StoredEvent
from esb_gateway.async_invoke.failures import Rules
from esb_gateway.clock import Clock
from esb_gateway.deployment import Box, Deployment, Served
from esb_gateway.errors import UnknownFunctionError
from esb_gateway.workers.invoker import Invoker


async def test_events_of_a_function_that_is_gone_are_kept_for_its_return():
    delivery = Delivery(Served(Deployment(Box())), Invoker(Clock()))
    assert delivery.width("gone") == 0
    assert delivery.rules("gone") == Rules(max_age=21600.0, max_retries=2, on_failure="")
    assert delivery.arn("gone") == "arn:aws:lambda:us-east-1:000000000000:function:gone:$LATEST"
    with pytest.raises(UnknownFunctionError):
        await delivery.run(StoredEvent(1, "r", "gone", None, "t", "", 0.0), b"{}", 1.0)
