"""Whatever is sent to the Lambda API is answered, soon, and never with the gateway's own failure."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest
from attrs import frozen
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from esb_gateway.lambda_api.paths import DATES
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

FUNCTIONS = {
    "hello": {"image": "hello:1", "function_url": {}},
    "off": {"image": "x", "scaling": {"max_capacity": 0}},
}
KEY = SigV4Auth(Credentials("ESBOPERATOR", "operator-secret-key"), "lambda", "us-east-1")
SECONDS = 5.0  # for one answer; a hang would be longer

words = st.sampled_from(
    [
        *(
            "functions",
            "hello",
            "off",
            "nobody",
            "hello:live",
            "hello:$LATEST",
            "",
            ".",
            "..",
            "%",
            "%00",
            "%2F",
        ),
        *("invocations", "configuration", "concurrency", "url", "urls", "versions", "event-invoke-config"),
        *("response-streaming-invocations", "arn:aws:lambda:us-east-1:000000000000:function:hello"),
    ]
)
segments = words | st.text(max_size=12) | st.binary(max_size=12).map(lambda data: data.decode("latin-1"))
wild_paths = st.builds(
    lambda date, parts: "/".join(("", date, *parts)),
    st.sampled_from(DATES),
    st.lists(segments, min_size=1, max_size=5) | st.tuples(st.just("functions"), st.just("hello"), words),
)
known_paths = st.sampled_from(
    [
        *(
            "/2015-03-31/functions",
            "/2015-03-31/functions/hello",
            "/2015-03-31/functions/hello/configuration",
        ),
        *("/2021-10-31/functions/hello/url", "/2019-09-25/functions/hello/event-invoke-config"),
        *("/2015-03-31/functions/hello/invocations", "/2015-03-31/functions/off/invocations"),
        *("/2015-03-31/functions/hello%3Alive/invocations", "/2015-03-31/functions/nobody/invocations"),
        "/2021-11-15/functions/hello/response-streaming-invocations",
    ]
)
paths = known_paths | wild_paths
values = st.binary(max_size=80)
nested = st.integers(min_value=0, max_value=1200).map(
    lambda deep: b64encode(b'{"custom": %b}' % (b"[" * deep + b"1" + b"]" * deep))
)
headers = st.dictionaries(
    st.sampled_from(
        [
            *(b"x-amz-invocation-type", b"x-amz-log-type", b"x-amz-client-context", b"x-amzn-trace-id"),
            *(b"content-type", b"content-length", b"host", b"authorization", b"x-amz-date", b"expect"),
        ]
    ),
    values
    | nested
    | st.sampled_from([b"Event", b"DryRun", b"RequestResponse", b"Tail", b"None", b"eyJjdXN0b20iOltdfQ=="]),
)
queries = st.sampled_from(
    [
        *(b"", b"Qualifier=live", b"Qualifier=", b"MaxItems=1", b"MaxItems=-1", b"Marker=MTpoZWxsbw%3D%3D"),
        *(b"FunctionVersion=ALL", b"Qualifier=%24LATEST&Qualifier=b", b"MaxItems=0&Marker=%25"),
    ]
) | st.binary(max_size=60)
json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
bodies = st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode())
cuts = st.integers(min_value=1, max_value=4)


@frozen
class Answered:
    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def ask(
    app, method: str, path: str, query: bytes, fields: dict[bytes, bytes], parts: list[bytes]
) -> Answered:
    """One request as a server hands it over: any bytes a header may have, the body in any parts."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8"),
        "query_string": query,
        "headers": list(fields.items()),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }
    left = iter([*[{"body": part, "more_body": True} for part in parts], {"body": b"", "more_body": False}])
    sent: list[dict] = []

    async def receive():
        return {"type": "http.request", **next(left)}

    async def send(message):
        sent.append(message)

    async with asyncio.timeout(SECONDS):
        await app(scope, receive, send)
    start, *bodies = sent
    return Answered(start["status"], dict(start["headers"]), b"".join(one["body"] for one in bodies))


def sign(method: str, path: str, query: bytes, fields: dict[bytes, bytes], body: bytes) -> None:
    """Sign as botocore does, where that can sign such a request at all; else it goes as it is: refused."""
    url = f"http://box{path}?{query.decode('latin-1')}"
    try:
        request = AWSRequest(
            method, url, data=body, headers={"X-Amz-Content-Sha256": sha256(body).hexdigest()}
        )
        KEY.add_auth(request)
    except (ValueError, UnicodeError):
        return
    fields.pop(b"authorization", None)
    fields[b"host"] = b"box"
    for name, value in request.headers.items():
        fields[name.lower().encode()] = value.encode()


@pytest.fixture(params=[False, True], ids=["signatures off", "signed"])
def running(gateway, request) -> Iterator[tuple[asyncio.Runner, object, Callable]]:
    """A gateway that lives as long as the test, which runs on no event loop: hypothesis has its own pace."""
    with asyncio.Runner() as runner:
        manager = gateway(FUNCTIONS, sigv4=request.param)
        box = runner.run(manager.__aenter__())
        yield runner, box, sign if request.param else lambda *_: None
        runner.run(manager.__aexit__(None, None, None))


@given(
    method=st.sampled_from(["GET", "POST", "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"]),
    path=paths,
    query=queries,
    fields=headers,
    body=bodies,
    cut=cuts,
)
@example("POST", "/2015-03-31/functions/hello/invocations", b"", {b"content-length": b"9" * 80}, b"1", 1)
@example("POST", "/2021-11-15/functions/hello/response-streaming-invocations", b"Qualifier=%ff", {}, b"", 1)
@example("GET", "/2015-03-31/functions/", b"Marker=%ff&MaxItems=%d9%a1", {}, b"", 1)
@example("GET", "/2021-10-31/functions/hello/url", b"", {b"host": b"\xff\x00"}, b"", 1)
@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_request_is_answered_in_awss_form(running, method, path, query, fields, body, cut):
    runner, box, prepare = running
    prepare(method, path, query, fields, body)
    size = -(-len(body) // cut) or 1
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    answered = runner.run(ask(box.app, method, path, query, fields, parts))
    assert answered.status < 500, answered
    assert b"x-amzn-requestid" in answered.headers
    if answered.status >= 400:
        told = json.loads(answered.body)
        assert answered.headers[b"x-amzn-errortype"]
        assert told.get("Type", "User") == "User"
        assert told.get("message") or told.get("Message")
    assert all(b"\r" not in value and b"\n" not in value for value in answered.headers.values())
    assert "bug" not in box.log.events()
