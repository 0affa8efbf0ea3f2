import re

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send


class Refuse:
    """Middleware as an authorizer would be: lets nothing through but what carries a key."""

    def __init__(self, app: ASGIApp, key: bytes) -> None:
        self.app, self.key = app, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (b"x-key", self.key) not in scope["headers"]:
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await self.app(scope, receive, send)


async def test_middleware_stands_before_every_endpoint(gateway):
    deps = {"middleware": (Middleware(Refuse, key=b"k"),)}
    async with gateway({"f": {"image": "x"}}, [{"path": "/a", "function": "f"}], deps=deps) as box:
        for path in ("/health", "/metrics", "/a", "/2015-03-31/functions/f/invocations"):
            assert (await box.client.post(path)).status_code == 401
        assert (await box.client.get("/health", headers={"x-key": "k"})).status_code == 200
        assert (await box.invoke("f", {}, X_Key="k")).status_code == 200


async def test_worker_ids_are_what_an_agent_takes_whatever_the_function_is_called(gateway, agent):
    name = "ünusual function/with=everything" + "x" * 100
    async with gateway(
        {"f.g-h_i": {"image": "x"}, name.replace("/", ""): {"image": "x", "scaling": {"min_capacity": 1}}}
    ):
        pass
    assert agent.started
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", worker_id) for worker_id in agent.started)


async def test_own_paths_answer_any_method(gateway):
    async with gateway() as box:
        assert (await box.client.post("/health")).status_code == 200
        assert (await box.client.head("/metrics")).status_code == 200
