from prometheus_client.parser import text_string_to_metric_families


async def scrape(box) -> dict[str, float]:
    text = (await box.client.get("/metrics")).text
    return {
        sample.name + "".join(f" {label}" for label in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_calls_errors_throttles_and_cold_starts_are_counted(gateway, agent, helpers):
    async def fail(seen):
        return helpers.answer({}, error="Unhandled")

    agent.handlers["bad"] = fail
    functions = {
        "good": {"image": "x"},
        "bad": {"image": "x"},
        "off": {"image": "x", "scaling": {"max_capacity": 0}},
    }
    async with gateway(functions) as box:
        for name in ("good", "good", "bad", "off"):
            await box.invoke(name, {})
        await box.invoke("good", {}, X_Amz_Invocation_Type="Event")
        await helpers.eventually(lambda: "event delivered" in box.log.events())
        found = await scrape(box)
    assert found["esb_gateway_invocations_total good"] == 3
    assert found["esb_gateway_errors_total bad"] == 1
    assert found["esb_gateway_throttles_total off"] == 1
    assert found["esb_gateway_cold_starts_total good"] == 1
    assert found["esb_gateway_duration_seconds_count good"] == 3
    assert found["esb_gateway_duration_seconds_bucket good +Inf"] == 3
    assert found["esb_gateway_workers good idle"] == 1
    assert found["esb_gateway_workers_max good"] == 10
    assert found["esb_gateway_workers good paused"] == 0
    assert found["esb_gateway_queue_depth good"] == 0
    assert found["esb_gateway_queue_age_seconds good"] == 0
    assert found["esb_gateway_init_seconds_count good"] == 1
    assert found["esb_gateway_adopted_total good"] == 0
    assert found["esb_gateway_resumes_total good"] == 0
    assert found["esb_gateway_breaker_open good"] == 0
    assert found["esb_gateway_breaker_trips_total good"] == 0
    assert found["esb_gateway_agent_up"] == 1
    assert found["esb_gateway_events_accepted_total"] == 1
    assert found["esb_gateway_events_delivered_total"] == 1
    assert found["esb_gateway_events_pending"] == 0
    assert found["esb_gateway_reloads_total"] == 1


async def test_refused_generations_are_counted(gateway, helpers, log):
    async with gateway() as box:
        helpers.write_generation(box.config_dir, 1, {"functions": {"f": {}}})
        await helpers.eventually(lambda: "generation refused" in log.events())
        assert (await scrape(box))["esb_gateway_reload_failures_total"] == 1
