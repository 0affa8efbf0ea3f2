import asyncio
import time

import jwt
import pytest
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.credentials import Credentials, User
from esb_gateway.auth.login import Passwords
from esb_gateway.auth.passwords import hash_password
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PATH = "/user/auth/v1"
KEY = {"x-api-key": "the-api-key"}


def body(user="admin", password="the-password"):
    return {"AuthParameters": {"USERNAME": user, "PASSWORD": password}}


async def test_a_user_gets_tokens_that_open_routes(gateway, agent, fake_time, helpers):
    routes = [
        {
            "path": "/a",
            "function": "f",
            "payload_version": "2.0",
            "auth": {"type": "jwt", "audience": ["default"]},
        }
    ]
    async with gateway({"f": {"image": "x"}}, routes, deps={"clock": fake_time.clock()}) as box:
        answer = await box.client.post(PATH, json=body(), headers=KEY)
        assert (answer.status_code, answer.headers["PADMA_USER_AUTHORIZED"]) == (200, "true")
        assert answer.headers["cache-control"] == "no-store"
        result = answer.json()["AuthenticationResult"]
        assert (result["TokenType"], result["ExpiresIn"]) == ("Bearer", 3600)
        for name, use in (("IdToken", "id"), ("AccessToken", "access")):
            claims = jwt.decode(result[name], options={"verify_signature": False})
            assert (claims["sub"], claims["token_use"]) == ("admin", use)
            bearer = {"authorization": f"Bearer {result[name]}"}
            assert (await box.client.get("/a", headers=bearer)).status_code == 200
        fake_time.value += 3600
        assert (await box.client.get("/a", headers=bearer)).status_code == 401


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"x-api-key": ""}])
async def test_without_a_good_key_nothing_is_said(gateway, headers):
    async with gateway() as box:
        answer = await box.client.post(PATH, json=body(), headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})
    assert "PADMA_USER_AUTHORIZED" not in answer.headers


@pytest.mark.parametrize("given", [body(password="wrong"), body(user="nobody")])
async def test_a_wrong_password_and_an_unknown_name_are_answered_alike(gateway, given):
    async with gateway() as box:
        answer = await box.client.post(PATH, json=given, headers=KEY)
    assert (answer.status_code, answer.headers["PADMA_USER_AUTHORIZED"]) == (401, "true")
    assert answer.json()["message"] == "Incorrect username or password."


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"AuthParameters": []}', 400),
        (b'{"AuthParameters": {"USERNAME": "a", "PASSWORD": 1}}', 400),
        (b'{"AuthParameters": {"USERNAME": "", "PASSWORD": "a"}}', 400),
        (b'{"AuthParameters": {"USERNAME": "a", "PASSWORD": "\\ud800"}}', 400),
        (b"x" * 20_000, 413),
    ],
)
async def test_what_is_no_login_is_a_400(gateway, content, status):
    async with gateway() as box:
        answer = await box.client.post(PATH, content=content, headers=KEY)
        assert answer.status_code == status
        assert (await box.client.get(PATH)).headers["allow"] == "POST"


async def test_tries_are_limited_per_user_and_come_back(gateway, fake_time):
    async with gateway(deps={"clock": fake_time.clock()}) as box:

        async def status(user, password="wrong"):
            return await box.client.post(PATH, json=body(user, password), headers=KEY)

        assert [(await status("admin")).status_code for _ in range(11)] == [401] * 10 + [429]
        refused = await status("admin", "the-password")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "6")
        assert (await status("other")).status_code == 401
        fake_time.value += 6
        assert (await status("admin", "the-password")).status_code == 200
        assert (await status("admin", "the-password")).status_code == 200


async def test_tries_are_limited_per_client_also_those_without_a_key(gateway, fake_time):
    async with gateway(deps={"clock": fake_time.clock()}) as box:
        found = [(await box.client.post(PATH, json=body())).status_code for _ in range(21)]
        assert found == [401] * 20 + [429]
        assert (await box.client.post(PATH, json=body(), headers=KEY)).headers["retry-after"] == "3"


async def test_a_burst_is_limited_before_the_first_password_was_looked_at(gateway):
    async with gateway() as box:
        tries = [box.client.post(PATH, json=body(password="x"), headers=KEY) for _ in range(15)]
        found = sorted(answer.status_code for answer in await asyncio.gather(*tries))
    assert found == [401] * 10 + [429] * 5


async def test_the_path_can_be_another_and_routes_there_are_warned_of(gateway, helpers):
    routes = [{"path": PATH, "function": "f"}]
    async with gateway({"f": {"image": "x"}}, routes) as box:
        warnings = (await box.client.get("/health")).json()["warnings"]
    assert warnings == [f"route GET {PATH}: never reached, the path is the gateway's own"]


def test_passwords_and_hashes_are_checked_and_changes_count_at_once():
    def known(*users):
        return Credentials((), (), (), None, users)

    store = CredentialStore(
        known(User("a", password="one"), User("b", password_hash=str(hash_password("two"))))
    )
    passwords = Passwords(store)
    assert passwords.check("a", "one").name == "a"
    assert passwords.check("b", "two").name == "b"
    assert [passwords.check(*pair) for pair in (("a", "two"), ("c", "one"), ("c", ""), ("b", "ü"))] == [
        None
    ] * 4
    store.current = known(User("a", password="new"))
    assert passwords.check("a", "one") is None
    assert passwords.check("a", "new").name == "a"


def test_an_unknown_name_takes_as_long_as_a_wrong_password():
    passwords = Passwords(CredentialStore(Credentials((), (), (), None, (User("a", password="one"),))))

    def least(name):
        times = []
        for _ in range(5):
            started = time.perf_counter()
            passwords.check(name, "wrong")
            times.append(time.perf_counter() - started)
        return min(times)

    passwords.check("a", "one")
    assert 0.3 < least("a") / least("nobody") < 3


@given(st.binary(max_size=100), st.dictionaries(st.sampled_from(["x-api-key", "authorization"]), st.binary()))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_garbage_never_breaks_the_login(gateway, content, headers):
    clean = {name: value.replace(b"\r", b"").replace(b"\n", b"") for name, value in headers.items()}
    async with gateway() as box:
        for given_headers in (clean, KEY):
            answer = await box.client.post(PATH, content=content, headers=given_headers)
            assert answer.status_code in (400, 401)
