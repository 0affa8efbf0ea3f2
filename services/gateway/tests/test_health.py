from esb_gateway.workers.agent import AgentRefusedError, AgentUnavailableError


async def test_health_tells_what_is_served_and_by_whom(gateway):
    functions = {
        "f": {"image": "x", "events": [{"schedule": {"rate": "rate(1 day)"}}, {"schedule": {"rate": "no"}}]}
    }
    async with gateway(functions, [{"path": "/a", "function": "f"}]) as box:
        response = await box.client.get("/health")
    assert response.status_code == 200
    body = response.json()
    assert len(body.pop("warnings")) == 1
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
