import asyncio
import shutil

import pytest
from esb_gateway.deployment import Box
from esb_gateway.reload import config_mark
from esb_gateway.workers.agent import WorkerSpec
from esb_gateway.workers.worker import PoolLimits


def function(image: str = "f:1", **more: object) -> dict[str, object]:
    return {"image": image, **more}


async def test_an_empty_config_dir_serves_nothing_until_the_first_generation_comes(gateway, helpers):
    async with gateway() as box:
        health = (await box.client.get("/health")).json()
        assert (health["status"], health["generation"], health["functions"]) == ("ok", None, 0)
        assert (await box.invoke("f", {})).status_code == 404
        helpers.write_generation(box.config_dir, 1, {"functions": {"f": function()}})
        await served(box, helpers, "000001")
        assert (await box.invoke("f", {"a": 1})).json() == {"a": 1}


async def served(box, helpers, generation: str) -> None:
    async def now() -> bool:
        return (await box.client.get("/health")).json()["generation"] == generation

    await helpers.eventually(now)


async def test_a_missing_config_dir_is_no_error_either(gateway, helpers, tmp_path, agent, log):
    async with gateway() as box:
        shutil.rmtree(box.config_dir)
        await asyncio.sleep(0)
        assert (await box.client.get("/health")).json()["status"] == "ok"


async def test_functions_that_stay_the_same_keep_their_workers_and_others_get_new_ones(
    gateway, agent, helpers
):
    async with gateway() as box:
        helpers.write_generation(
            box.config_dir,
            1,
            {"functions": {"same": function(), "changed": function(), "removed": function()}},
        )
        await served(box, helpers, "000001")
        for name in ("same", "changed", "removed"):
            await box.invoke(name, {})
        before = {spec.function: name for name, spec in agent.alive.items()}
        helpers.write_generation(
            box.config_dir,
            2,
            {"functions": {"same": function(), "changed": function("f:2"), "new": function()}},
        )
        await served(box, helpers, "000002")
        for name in ("same", "changed", "new"):
            assert (await box.invoke(name, {})).status_code == 200
        assert (await box.invoke("removed", {})).status_code == 404
        after = {spec.function: name for name, spec in agent.alive.items()}
        assert after["same"] == before["same"]
        assert after["changed"] != before["changed"]
        assert set(after) == {"same", "changed", "new"}


async def test_a_changed_scaling_keeps_the_workers(gateway, agent, helpers):
    async with gateway() as box:
        helpers.write_generation(box.config_dir, 1, {"functions": {"f": function()}})
        await served(box, helpers, "000001")
        await box.invoke("f", {})
        helpers.write_generation(
            box.config_dir, 2, {"functions": {"f": function(scaling={"min_capacity": 2, "max_capacity": 3})}}
        )
        await served(box, helpers, "000002")
        await helpers.eventually(lambda: len(agent.alive) == 2)
        assert agent.started[0] in agent.alive


async def test_calls_in_flight_end_on_the_generation_they_began_with(gateway, agent, helpers):
    gate = asyncio.Event()

    async def slow(seen):
        await gate.wait()
        return helpers.answer(agent.alive[seen.worker_id].image)

    agent.handlers["f"] = slow
    async with gateway() as box:
        helpers.write_generation(
            box.config_dir, 1, {"functions": {"f": function("f:1", scaling={"max_capacity": 1})}}
        )
        await served(box, helpers, "000001")
        # One with a worker, one in line for it.
        calls = [asyncio.create_task(box.invoke("f", {})) for _ in range(2)]
        await helpers.eventually(lambda: len(agent.seen) == 1)
        helpers.write_generation(box.config_dir, 2, {"functions": {"f": function("f:2")}})
        await served(box, helpers, "000002")
        late = asyncio.create_task(box.invoke("f", {}))
        await helpers.eventually(lambda: len(agent.seen) == 2)
        gate.set()
        assert [(await call).json() for call in calls] == ["f:1", "f:1"]
        assert (await late).json() == "f:2"
        await helpers.eventually(lambda: [spec.image for spec in agent.alive.values()] == ["f:2"])


async def test_a_broken_generation_is_refused_and_the_old_one_goes_on(gateway, helpers, log):
    async with gateway() as box:
        helpers.write_generation(box.config_dir, 1, {"functions": {"f": function()}})
        await served(box, helpers, "000001")
        helpers.write_generation(box.config_dir, 2, {"functions": {"f": {"timeout": 3}}})
        await helpers.eventually(lambda: "generation refused" in log.events())
        health = (await box.client.get("/health")).json()
        assert (health["status"], health["generation"]) == ("degraded", "000001")
        assert (health["reload"]["state"], health["reload"]["refused"]) == ("refused", "000002")
        assert "functions.f.image" in health["reload"]["error"]
        assert (await box.invoke("f", {})).status_code == 200
        helpers.write_generation(box.config_dir, 3, {"functions": {"f": function("f:3")}})
        await served(box, helpers, "000003")
        assert (await box.client.get("/health")).json()["status"] == "ok"
        assert log.events().count("generation refused") == 1


async def test_a_bug_in_reading_a_generation_refuses_it_too(gateway, helpers, log, monkeypatch):
    async with gateway() as box:
        helpers.write_generation(box.config_dir, 1, {"functions": {"f": function()}})
        await served(box, helpers, "000001")
        monkeypatch.setattr("esb_gateway.reload.plan_deployment", lambda *_: [].pop())
        helpers.write_generation(box.config_dir, 2, {"functions": {"f": function("f:2")}})
        await helpers.eventually(lambda: "generation refused" in log.events())
        health = (await box.client.get("/health")).json()
        assert (health["generation"], health["reload"]["refused"]) == ("000001", "000002")
        assert "pop from empty list" in health["reload"]["error"]


async def test_a_variable_without_value_refuses_the_generation(gateway, helpers, log):
    async with gateway() as box:
        helpers.write_generation(
            box.config_dir, 1, {"functions": {"f": function(environment={"A": "${NOBODY}"})}}
        )
        await helpers.eventually(lambda: "generation refused" in log.events())
        assert "NOBODY" in (await box.client.get("/health")).json()["reload"]["error"]


async def test_a_rollback_is_a_generation_like_any_other(gateway, helpers):
    async with gateway() as box:
        helpers.write_generation(box.config_dir, 1, {"functions": {"f": function()}})
        helpers.write_generation(box.config_dir, 2, {"functions": {"g": function()}})
        await served(box, helpers, "000002")
        link = box.config_dir / ".back"
        link.symlink_to("generations/000001")
        link.replace(box.config_dir / "current")
        await served(box, helpers, "000001")
        assert (await box.invoke("f", {})).status_code == 200


async def test_plain_files_are_followed_too(gateway, helpers):
    async with gateway({"f": function()}) as box:
        assert (await box.invoke("f", {})).status_code == 200
        helpers.write_config(box.config_dir, {"functions": {"other": function("a-longer-image:2")}})

        async def there() -> bool:
            return (await box.invoke("other", {})).status_code == 200

        await helpers.eventually(there)


async def test_files_that_could_not_be_read_for_a_moment_leave_no_trace_in_health(gateway, helpers):
    async def status() -> str:
        return (await box.client.get("/health")).json()["status"]

    async def degraded() -> bool:
        return await status() == "degraded"

    async def ok() -> bool:
        return await status() == "ok"

    async with gateway({"f": function()}) as box:
        routing = box.config_dir / "routing.yml"
        content = routing.read_bytes() if routing.exists() else None
        kept = box.config_dir / "kept"
        if content is not None:
            routing.rename(kept)
        routing.symlink_to(routing)
        await helpers.eventually(degraded)
        routing.unlink()
        if content is not None:
            kept.rename(routing)
        await helpers.eventually(ok)
        assert (await box.invoke("f", {})).status_code == 200


async def test_nothing_is_loaded_again_while_nothing_changes(tmp_path, log, helpers):
    helpers.write_config(tmp_path, {"functions": {"f": function()}})
    mark = config_mark(tmp_path)
    assert mark == config_mark(tmp_path)
    helpers.write_config(tmp_path, {"functions": {"f": function("f:22")}})
    assert mark != config_mark(tmp_path)
    helpers.write_generation(tmp_path, 7, {"functions": {}})
    assert config_mark(tmp_path) == ("000007",)
    assert config_mark(tmp_path / "nowhere") is None


async def test_what_an_earlier_run_left_at_the_agent_is_ended(gateway, agent, helpers):
    agent.alive["old-1"] = WorkerSpec("f", "f:0")
    async with gateway({"f": function(scaling={"min_capacity": 1})}):
        await helpers.eventually(lambda: "old-1" not in agent.alive and len(agent.alive) == 1)


@pytest.mark.parametrize("keep", [True, False])
async def test_stopping_leaves_the_workers_for_the_next_run_or_ends_them(gateway, agent, keep):
    async with gateway({"f": function(scaling={"min_capacity": 2})}, keep_workers=keep) as box:
        await box.invoke("f", {})
    assert len(agent.alive) == (2 if keep else 0)


async def test_a_gateway_started_again_goes_on_with_the_workers_it_left(gateway, agent):
    functions = {"f": function(scaling={"min_capacity": 2})}
    async with gateway(functions) as box:
        await box.invoke("f", {})
    before = set(agent.alive)
    async with gateway(functions) as box:
        assert (await box.invoke("f", {})).status_code == 200
    assert set(agent.alive) == before
    assert len(agent.started) == 2
    assert agent.closed


@pytest.mark.parametrize("maximum", [4, 50])
async def test_a_burst_on_a_cold_function_is_answered_and_what_is_beyond_the_line_is_throttled(
    gateway, agent, helpers, maximum
):
    limits = PoolLimits(queue=50 - maximum)
    functions = {"f": function(scaling={"max_capacity": maximum})}
    agent.gate = asyncio.Event()
    async with gateway(functions, box=Box(limits=limits)) as box:
        burst = [asyncio.create_task(box.invoke("f", {"n": n})) for n in range(50)]
        await helpers.eventually(lambda: len(agent.started) == maximum)
        await asyncio.sleep(0.05)
        beyond = await box.invoke("f", {})
        assert (beyond.status_code, beyond.headers["retry-after"]) == (429, "1")
        agent.gate.set()
        answers = await asyncio.gather(*burst)
    assert sorted(one.json()["n"] for one in answers) == list(range(50))
    assert len(agent.alive) == maximum


async def test_reloads_during_a_burst_lose_no_call_and_the_old_workers_end_with_theirs(
    gateway, agent, helpers
):
    async def work(seen):
        await asyncio.sleep(0.01)
        return helpers.answer(seen.event)

    agent.handlers = {"changes": work, "stays": work}
    async with gateway() as box:

        async def serve(number: int) -> None:
            functions = {
                "changes": function(f"f:{number}", scaling={"max_capacity": 3}),
                "stays": function(scaling={"max_capacity": 1 + number}),
            }
            helpers.write_generation(box.config_dir, number, {"functions": functions})
            await served(box, helpers, f"{number:06d}")

        await serve(1)
        burst = []
        for number in range(2, 5):
            burst += [
                asyncio.create_task(box.invoke(name, {"n": n}))
                for n in range(30)
                for name in ("changes", "stays")
            ]
            await serve(number)
        answers = await asyncio.gather(*burst)
        assert {one.status_code for one in answers} == {200}
        assert sorted(one.json()["n"] for one in answers) == sorted([*range(30)] * 6)
        await box.invoke("changes", {})
        await helpers.eventually(
            lambda: {spec.image for spec in agent.alive.values() if spec.function == "changes"} == {"f:4"}
        )
        assert sum(spec.function == "stays" for spec in agent.alive.values()) == sum(
            "stays" in worker_id for worker_id in agent.started
        )


async def test_a_functions_other_limits_keep_its_workers_and_its_breaker(gateway, agent, helpers):
    async with gateway() as box:
        helpers.write_generation(box.config_dir, 1, {"functions": {"f": function()}})
        await served(box, helpers, "000001")
        await box.invoke("f", {})
        helpers.write_generation(
            box.config_dir, 2, {"functions": {"f": function(scaling={"max_capacity": 2, "idle_timeout": 5})}}
        )
        await served(box, helpers, "000002")
        await box.invoke("f", {})
    assert len(agent.started) == 1
