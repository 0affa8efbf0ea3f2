from esb_gateway.async_invoke.delivery import Delivery
from esb_gateway.async_invoke.event_queue import QueuedEvent
from esb_gateway.clock import Clock
from esb_gateway.deployment import Box, Deployment, Served
from esb_gateway.workers.invoker import Call, Invoker


async def test_an_event_for_a_function_that_is_gone_is_dropped_and_logged(log):
    delivery = Delivery(Served(Deployment(Box())), Invoker(Clock()), log)
    await delivery.deliver(QueuedEvent("gone", Call("r", "t", "", b"{}"), 0.0))
    assert log.events() == ["event dropped"]
    assert delivery.width("gone") == 1


async def test_a_functions_error_counts_as_delivered_and_is_logged(gateway, agent, helpers):
    async def fail(seen):
        return helpers.answer({"errorType": "KeyError"}, error="Unhandled")

    agent.handlers["f"] = fail
    async with gateway({"f": {"image": "x"}}) as box:
        await box.invoke("f", {}, X_Amz_Invocation_Type="Event")
        await helpers.eventually(lambda: "event delivered" in box.log.events())
        fields = dict(box.log.lines)["event delivered"]
    assert fields["error"] == '{"errorType": "KeyError"}'
