import pytest

PATH = "/events/dead-letters"
KEY = {"x-api-key": "the-admin-key"}


@pytest.fixture
def buried(gateway, agent, helpers):
    """A gateway with dead letters of `f` and `g`."""

    async def fail(seen):
        if seen.event == "recovers" and len(agent.seen) > 3:
            return helpers.answer("fine")
        return helpers.answer({"errorType": "KeyError", "errorMessage": "secret"}, error="Unhandled")

    agent.handlers = {"f": fail, "g": fail}
    rules = {"image": "x", "async_invoke": {"max_retries": 0}}
    return gateway({"f": rules, "g": rules})


async def bury(box, helpers) -> list[str]:
    for name, payload in (("f", "recovers"), ("f", {"password": "p"}), ("g", 3)):
        sent = await box.invoke(name, payload, X_Amz_Invocation_Type="Event")
        assert sent.status_code == 202
    metric = "esb_gateway_events_dead_total 3.0"

    async def all_dead() -> bool:
        return metric in (await box.client.get("/metrics")).text

    await helpers.eventually(all_dead)
    listed = (await box.client.get(PATH, headers=KEY)).json()
    return [letter["id"] for letter in listed["dead_letters"]]


async def test_dead_letters_are_listed_without_what_may_be_secret(buried, helpers):
    async with buried as box:
        await bury(box, helpers)
        answer = await box.client.get(PATH, headers=KEY)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        first = answer.json()["dead_letters"][0]
        assert set(first) == {
            *("id", "function", "qualifier", "trace_id"),
            *("accepted_at", "failed_at", "attempts", "condition"),
        }
        assert (first["function"], first["attempts"], first["condition"]) == ("f", 1, "RetriesExhausted")
        assert "secret" not in answer.text
        assert "password" not in answer.text


async def test_a_look_at_one_shows_everything(buried, helpers):
    async with buried as box:
        ids = await bury(box, helpers)
        shown = (await box.client.get(f"{PATH}/{ids[1]}", headers=KEY)).json()
        assert shown["payload"] == '{"password": "p"}'
        assert shown["answer"] == '{"errorType": "KeyError", "errorMessage": "secret"}'


async def test_pages_and_functions_narrow_the_list(buried, helpers):
    async with buried as box:
        ids = await bury(box, helpers)
        first = (await box.client.get(f"{PATH}?limit=2", headers=KEY)).json()
        rest = (await box.client.get(f"{PATH}?limit=2&marker={first['next_marker']}", headers=KEY)).json()
        assert [letter["id"] for letter in first["dead_letters"] + rest["dead_letters"]] == ids
        assert (first["total"], rest["next_marker"]) == (3, None)
        only = (await box.client.get(f"{PATH}?function=g", headers=KEY)).json()["dead_letters"]
        assert [letter["id"] for letter in only] == ids[2:]


async def test_one_is_replayed_with_its_own_request_id(buried, agent, helpers):
    async with buried as box:
        ids = await bury(box, helpers)
        answer = await box.client.post(f"{PATH}/{ids[0]}/replay", headers=KEY)
        assert (answer.status_code, answer.json()) == (202, {"replayed": 1})
        await helpers.eventually(lambda: len(agent.seen) == 4)
        assert agent.seen[3].head["x-amzn-requestid"] == ids[0]
        assert (await box.client.get(f"{PATH}/{ids[0]}", headers=KEY)).status_code == 404


async def test_all_of_a_function_are_replayed_and_may_die_again(buried, agent, helpers):
    async with buried as box:
        await bury(box, helpers)
        answer = await box.client.post(f"{PATH}/replay?function=f", headers=KEY)
        assert answer.json() == {"replayed": 2}
        await helpers.eventually(lambda: len(agent.seen) == 5)

        async def one_died_again() -> bool:
            return (await box.client.get(PATH, headers=KEY)).json()["total"] == 2

        await helpers.eventually(one_died_again)


async def test_one_is_deleted(buried, helpers):
    async with buried as box:
        ids = await bury(box, helpers)
        for expected in (204, 404):
            assert (await box.client.delete(f"{PATH}/{ids[0]}", headers=KEY)).status_code == expected


async def test_strangers_see_nothing(gateway):
    async with gateway({"f": {"image": "x"}}) as box:
        for headers in ({}, {"x-api-key": "wrong"}, {"x-api-key": ""}, {"authorization": "Basic eDp5"}):
            for method, path in (("GET", PATH), ("GET", f"{PATH}/x"), ("POST", f"{PATH}/replay")):
                assert (await box.client.request(method, path, headers=headers)).status_code in (401, 403)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{PATH}?limit=0", 400),
        ("GET", f"{PATH}?limit=x", 400),
        ("GET", f"{PATH}?marker=-1", 400),
        ("GET", f"{PATH}?marker={10**30}", 400),
        ("GET", f"{PATH}/nobody", 404),
        ("POST", f"{PATH}/nobody/replay", 404),
        ("DELETE", f"{PATH}/nobody", 404),
        ("PUT", PATH, 404),
        ("GET", f"{PATH}/a/b/c", 404),
    ],
)
async def test_what_makes_no_sense_is_refused(gateway, method, path, status):
    async with gateway({"f": {"image": "x"}}) as box:
        answer = await box.client.request(method, path, headers=KEY)
        assert answer.status_code == status
        assert answer.json()["message"]
