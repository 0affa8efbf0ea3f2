import asyncio

from esb_gateway.workers.agent import AgentRefusedError, AgentUnavailableError
from esb_gateway.workers.prefetch import STEP_SECONDS


async def test_health_tells_what_is_served_and_by_whom(gateway):
    functions = {
        "f": {"image": "x", "events": [{"schedule": {"rate": "rate(1 day)"}}, {"schedule": {"rate": "no"}}]}
    }
    async with gateway(functions, [{"path": "/a", "function": "f"}]) as box:
        response = await box.client.get("/health")
    assert response.status_code == 200
    body = response.json()
    assert len(body.pop("warnings")) == 1
    assert body.pop("images").keys() == {"there", "missing"}
    assert body == {
        "status": "ok",
        "generation": None,
        "functions": 1,
        "routes": 1,
        "schedules": 1,
        "reload": {"state": "ok", "refused": None, "error": None},
        "broken_functions": [],
        "agent": {"reachable": True, "driver": "fake", "problems": [], "error": None},
    }


async def test_health_is_503_while_the_agent_cannot_be_reached(gateway, agent):
    agent.down = AgentUnavailableError("the agent does not answer: no such file")
    async with gateway({"f": {"image": "x"}}) as box:
        response = await box.client.get("/health")
    assert (response.status_code, response.json()["status"]) == (503, "unavailable")
    assert response.json()["agent"]["error"] == "the agent does not answer: no such file"


async def test_health_names_the_functions_whose_breaker_is_open(gateway, agent):
    agent.fail = AgentRefusedError("NOT_FOUND: no image")
    async with gateway({"f": {"image": "x"}, "g": {"image": "x"}}) as box:
        for _ in range(5):
            assert (await box.invoke("f", {})).status_code == 500
        refused = await box.invoke("f", {})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        response = await box.client.get("/health")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert response.json()["broken_functions"] == ["f"]


async def test_health_and_metrics_tell_which_images_are_not_at_hand(gateway, agent, helpers):
    agent.unfetched["y"] = AgentUnavailableError("no registry")
    async with gateway({"f": {"image": "x"}, "g": {"image": "y"}}) as box:
        await helpers.eventually(lambda: "image not at hand" in box.log.events())
        images = (await box.client.get("/health")).json()["images"]
        metrics = (await box.client.get("/metrics")).text
    assert images == {"there": 1, "missing": [{"image": "y", "error": "no registry"}]}
    assert "esb_gateway_images_missing 1.0" in metrics


async def test_no_image_is_fetched_before_its_first_call_where_that_is_switched_off(gateway, agent):
    async with gateway({"f": {"image": "x"}}, prefetch_images=False) as box:
        await asyncio.sleep(2 * STEP_SECONDS)
        images = (await box.client.get("/health")).json()["images"]
        metrics = (await box.client.get("/metrics")).text
    assert (images, agent.fetched) == (None, [])
    assert "esb_gateway_images_missing" not in metrics
