"""Whatever a client sends: an answer that is promised, in time, and nothing that stays behind.

A real box with process workers; requests are written as bytes, so that broken framing is as easy as a wrong
header.
`pytest e2e/test_fuzz.py --fuzz-seconds 600` looks longer than the usual 25 seconds.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attrs import define, frozen
from faults.load import Signer
from faults.real_box import RealBox, descriptors, resident_mb
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

CLIENT_TIMEOUT, DEADLINE = 0.5, 20.0
MOST_MEMORY_MB, MOST_DESCRIPTORS = 48.0, 12
SETTINGS = settings(
    max_examples=100_000_000,
    deadline=None,
    database=None,
    derandomize=False,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.11, CodeUri: src/, Timeout: 2, MemorySize: 256}
Resources:
  Echo: {Type: AWS::Serverless::Function, Properties: {FunctionName: echo, Handler: app.echo}}
  Odd: {Type: AWS::Serverless::Function, Properties: {FunctionName: odd, Handler: app.odd}}
  Off:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: "off", Handler: app.echo, ReservedConcurrentExecutions: 0}
"""
SOURCE = '''
def echo(event, context):
    return {"statusCode": 200, "headers": {"x-echo": "1"}, "body": "ok"}


def odd(event, context):
    """Answers what no API can pass on, or fails."""
    answers = [None, 7, "text", [], {"statusCode": "x"}, {"statusCode": 200, "headers": {"a\\\\nb": "c"}}]
    path = (event or {}).get("path", "") if isinstance(event, dict) else ""
    if path.endswith("fail"):
        raise ValueError(path)
    return answers[len(path) % len(answers)]
'''
CORS = {"allow_origins": ["https://shop.example"], "allow_methods": ["GET"], "max_age": 5}
ROUTES = [
    {"path": "/open/{id}", "method": "ANY", "function": "echo"},
    {"path": "/two/{proxy+}", "method": "ANY", "function": "echo", "payload_version": "2.0", "cors": CORS},
    {"path": "/odd/{proxy+}", "method": "ANY", "function": "odd"},
    {"path": "/off", "method": "GET", "function": "off"},
    {"path": "/key", "method": "GET", "function": "echo", "auth": {"type": "api_key"}},
    {"path": "/token", "method": "GET", "function": "echo", "auth": {"type": "jwt"}},
]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBox]:
    environ = {
        "ESB_GATEWAY_CLIENT_TIMEOUT": str(CLIENT_TIMEOUT),
        "ESB_GATEWAY_EVENT_RETRY_SECONDS": "1",
        "ESB_GATEWAY_ACCESS_LOG": "off",
    }
    running = RealBox(tmp_path_factory.mktemp("fuzz"), environ)
    running.generate(TEMPLATE, {"src/app.py": SOURCE})
    _complete_config(running.artifact)
    with running.serving():
        yield running


def _complete_config(artifact: Path) -> None:
    """Routes of every kind and function URLs, which the template has no need to spell out."""
    yaml = YAML(typ="safe", pure=True)
    (functions,), (routing,) = artifact.rglob("functions.yml"), artifact.rglob("routing.yml")
    document = yaml.load(functions.read_text())
    document["functions"]["echo"]["function_url"] = {"auth_type": "NONE", "cors": CORS}
    document["functions"]["odd"]["function_url"] = {"auth_type": "AWS_IAM", "invoke_mode": "RESPONSE_STREAM"}
    yaml.dump(document, functions)
    yaml.dump({"routes": ROUTES}, routing)


@frozen
class Gateway:
    """The gateway as a fuzzer sees it."""

    box: RealBox
    signer: Signer
    api_key: str
    port: int
    pid: int

    def exchange(self, pieces: list[bytes], *, then_close: bool = False) -> bytes:
        """Write pieces, read until the gateway closes or has answered; what takes too long is a hang."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE) as line:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for piece in pieces:
                    line.sendall(piece)
            if then_close:
                return b""
            return _read(line, bodiless=pieces[0].startswith(b"HEAD "))

    def answers(self) -> bool:
        """Whether an innocent call is answered as always."""
        return self.exchange([b"GET /open/1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]).endswith(
            b"ok"
        )


def _read(line: socket.socket, *, bodiless: bool = False) -> bytes:
    data, began = b"", time.monotonic()
    while True:
        try:
            got = line.recv(65536)
        except ConnectionResetError:
            return data
        data += got
        if not got or _is_whole(data, bodiless=bodiless):
            return data
        assert time.monotonic() - began < DEADLINE, f"no end: {data[:200]!r}"


def _is_whole(data: bytes, *, bodiless: bool) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    if head.startswith(b"HTTP/1.1 100"):
        return _is_whole(body, bodiless=bodiless)
    if bodiless or head.startswith((b"HTTP/1.1 204", b"HTTP/1.1 304")):
        return True
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    return length is not None and len(body) >= int(length[1])


@pytest.fixture(scope="module")
def gateway(box: RealBox) -> Gateway:
    api_key, port = box.credentials()["api_keys"][0]["value"], int(box.url.rpartition(":")[2])
    made = Gateway(box, Signer(box.url, *box.operator()), api_key, port, box.services()["gateway"])
    for path in ("/open/1", "/two/a", "/odd/fail"):  # every function has run before memory is compared
        made.exchange([f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()])
    return made


@pytest.fixture
def unharmed(gateway: Gateway, box: RealBox) -> Iterator[None]:
    """The same process afterwards, answering, with what it held before; no bug in its log."""
    before = descriptors(gateway.pid), resident_mb(gateway.pid)
    yield
    assert box.services()["gateway"] == gateway.pid, "the gateway ended"
    assert gateway.answers()
    deadline = time.monotonic() + 4 * CLIENT_TIMEOUT + 10
    while descriptors(gateway.pid) > before[0] + MOST_DESCRIPTORS and time.monotonic() < deadline:
        time.sleep(0.1)
    assert descriptors(gateway.pid) <= before[0] + MOST_DESCRIPTORS
    assert resident_mb(gateway.pid) <= before[1] + MOST_MEMORY_MB
    assert len(box.workers()) <= 3 * 10
    log = (box.state / "logs" / "gateway.log").read_text(errors="replace")
    bugs = [line for line in log.splitlines() if "Traceback" in line or '"event": "bug"' in line]
    assert bugs == []


@define
class Budget:
    """Seconds to look, and how many requests were sent in them."""

    end: float
    sent: int = 0

    def spend(self) -> None:
        """Send one more, or stop."""
        if time.monotonic() > self.end:
            raise Over
        self.sent += 1


@pytest.fixture
def budget(request: pytest.FixtureRequest) -> Iterator[Callable[[float], Budget]]:
    """A share of the seconds there are."""
    seconds = float(request.config.getoption("--fuzz-seconds"))
    made: list[Budget] = []

    def share(part: float) -> Budget:
        made.append(Budget(time.monotonic() + seconds * part))
        return made[-1]

    yield share
    print(f"requests: {sum(one.sent for one in made)}")
    assert all(one.sent > 10 for one in made), "too few requests to show anything"


class Over(BaseException):
    """The time is over; no error, and nothing hypothesis takes for one."""


NAMES = st.sampled_from(["echo", "odd", "off", "none", "arn:aws:lambda:us-east-1:000000000000:function:echo"])
TEXT = st.text(max_size=20)
SAFE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
DATES = st.sampled_from(["2015-03-31", "2021-11-15", "2014-11-13", "2019-09-30", "2021-10-31", "0000-00-00"])
ENDS = ["", "/", "/invocations", "/response-streaming-invocations", "/configuration", "/url", "/code", "//"]
PATHS = st.one_of(
    st.builds("/{}/functions/{}{}".format, DATES, NAMES, st.sampled_from(ENDS)),
    st.builds("/{}/functions{}".format, DATES, st.sampled_from(["", "/", "/?MaxItems=x", "?Marker=!"])),
    st.builds("/function-urls/{}/{}".format, NAMES, SAFE),
    st.sampled_from(
        ["/health", "/metrics", "/metrics/pools", "/metrics/containers", "/functions", "/routes"]
    ),
    st.sampled_from(["/events/dead-letters", "/events/dead-letters/x", "/events/dead-letters?limit=x"]),
    st.sampled_from(["/events/dead-letters/replay", "/events/dead-letters/x/replay", "/user/auth/v1"]),
    st.sampled_from(
        ["/off", "/key", "/token", "/odd/fail", "/odd/aa", "/odd/a", "/", "//", "*", "/%", "/%2e"]
    ),
    st.builds("/{}/{}".format, st.sampled_from(["open", "two", "odd"]), SAFE),
    SAFE.map("/{}".format),
    SAFE,
)
METHODS = st.one_of(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE", "get"]),
    st.from_regex(r"[A-Z]{1,12}", fullmatch=True),
)
VALUES = st.one_of(
    SAFE,
    st.sampled_from(
        ["", "0", "-1", "9" * 30, "Event", "DryRun", "Tail", "e30=", "bm8=", "Bearer x.y.z", "*"]
    ),
    st.sampled_from(
        ["AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=0", "gzip", "chunked"]
    ),
    st.sampled_from(
        ["https://shop.example", "null", "multipart/form-data", "application/json", "100-continue"]
    ),
    st.binary(max_size=20).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b"").decode("latin-1")),
)
KNOWN = [
    "x-amz-invocation-type",
    "x-amz-log-type",
    "x-amz-client-context",
    "x-amzn-trace-id",
    "authorization",
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-security-token",
    "x-api-key",
    "content-type",
    "cookie",
    "origin",
    "access-control-request-method",
    "x-forwarded-for",
    "host",
    "expect",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "range",
    "te",
    "x-esb-deadline-ms",
]
HEADERS = st.lists(st.tuples(st.one_of(st.sampled_from(KNOWN), SAFE), VALUES), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
LOGIN = st.fixed_dictionaries(
    {"AuthParameters": st.dictionaries(st.sampled_from(["USERNAME", "PASSWORD"]), JSON)}
)
BODIES = st.one_of(
    st.just(b""),
    st.one_of(JSON, LOGIN).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=200),
    st.sampled_from([b"[" * 5000, b'"\\ud800"', b"1e999", b"NaN", b"{" * 3, b"x" * 200_000]),
)
WAYS = st.sampled_from(["plain", "signed", "signed", "key"])


@given(way=WAYS, method=METHODS, path=PATHS, headers=HEADERS, body=BODIES)
@SETTINGS
def _well_framed(
    gateway: Gateway,
    budget: Budget,
    way: str,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    body: bytes,
) -> None:
    """A request that is HTTP: the answer is one, and no failure of the gateway."""
    budget.spend()
    sent = [(name, value) for name, value in headers if name.lower() not in {"content-length"}]
    if way == "signed" and path.startswith("/") and method.isascii():
        signed = gateway.signer.headers(method, path, {}, body)
        sent = [(n, v) for n, v in sent if n.lower() not in {"authorization", "x-amz-date", "host"}]
        sent += signed.items()
    elif way == "key":
        sent.append(("x-api-key", gateway.api_key))
    names = {name.lower() for name, _ in sent}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent)]
    lines += [] if "host" in names else [f"Host: 127.0.0.1:{gateway.port}"]
    lines.append(f"Content-Length: {len(body)}")
    request = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    check(request, gateway.exchange([request]))


def check(request: bytes, answer: bytes) -> None:
    """No answer at all is in order only where the framing was broken; 5xx only where the function failed."""
    if not answer:
        return
    shown = f"{request[:400]!r} → {answer[:400]!r}"
    match = re.match(rb"HTTP/1\.1 (\d\d\d) ", answer)
    assert match, shown
    status = int(match[1])
    if status == 100:
        check(request, answer.partition(b"\r\n\r\n")[2])
        return
    functions_own = status in {502, 504} and re.match(
        rb"\S+ /(odd|function-urls/odd|function-urls/arn)", request
    )
    assert status < 500 or functions_own, shown


OPEN = b"GET /open/1 HTTP/1.1\r\nHost: x\r\n"
INVOKE = "POST /2015-03-31/functions/echo/invocations HTTP/1.1\r\nHost: x\r\n{}: {}\r\n\r\n{}"
CHUNKED = b"PUT /open/2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
FRAMING = ["Content-Length", "Transfer-Encoding", "content-length: 3\r\nContent-Length"]
LENGTHS = ["5", "-5", "0x5", "5, 5", "9" * 20, "chunked", "gzip, chunked", "\x00"]
CHUNKS = [b"5\r\nhello\r\n", b"0\r\n\r\n", b"zz\r\n", b"5;a=b\r\nhello\r\n", b"-1\r\n"]
FRAMES = st.one_of(
    st.binary(min_size=1, max_size=300),
    st.builds(bytes.__add__, st.sampled_from([b"GET / HTTP/1.1\r\n", OPEN]), st.binary(max_size=100)),
    st.builds(INVOKE.format, st.sampled_from(FRAMING), st.sampled_from(LENGTHS), TEXT).map(
        lambda text: text.encode("utf-8", "replace")
    ),
    st.lists(st.sampled_from(CHUNKS), max_size=5).map(lambda chunks: CHUNKED + b"".join(chunks)),
    st.integers(1, 40).map(lambda count: (OPEN + b"\r\n") * count),
    st.integers(10, 400_000).map(lambda size: OPEN + b"X-Long: " + b"a" * size + b"\r\n\r\n"),
    st.integers(10, 400_000).map(lambda size: b"GET /" + b"a" * size + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
    st.just(OPEN + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
    st.just(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
)


@given(frame=FRAMES, cut=st.integers(0, 300), leave=st.booleans())
@SETTINGS
def _badly_framed(gateway: Gateway, budget: Budget, frame: bytes, cut: int, leave: bool) -> None:
    """Bytes that may be no HTTP, in two pieces: an answer or a closed connection, in time."""
    budget.spend()
    began = time.monotonic()
    answer = gateway.exchange([frame[:cut], frame[cut:]], then_close=leave)
    assert time.monotonic() - began < CLIENT_TIMEOUT + 10
    check(frame, answer)


@pytest.mark.usefixtures("unharmed")
def test_a_request_of_any_kind_gets_an_answer_that_is_promised(
    gateway: Gateway, budget: Callable[[float], Budget]
) -> None:
    with contextlib.suppress(Over):
        _well_framed(gateway, budget(0.6))


@pytest.mark.usefixtures("unharmed")
def test_bytes_of_any_kind_get_an_answer_or_a_closed_connection(
    gateway: Gateway, budget: Callable[[float], Budget]
) -> None:
    with contextlib.suppress(Over):
        _badly_framed(gateway, budget(0.4))


@pytest.mark.usefixtures("unharmed")
def test_many_clients_that_stall_hold_up_nobody_and_are_let_go(gateway: Gateway) -> None:
    begun = [
        b"",
        b"G",
        b"POST /open/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234",
        b"GET / HTTP/1.1\r\nA:",
    ]
    lines = [socket.create_connection(("127.0.0.1", gateway.port), timeout=DEADLINE) for _ in range(200)]
    try:
        for index, line in enumerate(lines):
            line.sendall(begun[index % len(begun)])
        began = time.monotonic()
        assert gateway.answers()
        assert time.monotonic() - began < CLIENT_TIMEOUT
        ends = {_read(line)[:12] for line in lines}
    finally:
        for line in lines:
            line.close()
    assert ends == {b"", b"HTTP/1.1 408"}
