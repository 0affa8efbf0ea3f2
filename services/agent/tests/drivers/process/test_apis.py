"""Paths, methods and headers of the two HTTP sides of a worker."""

import base64
import json

import pytest
from esb_agent.drivers.process.exchange import Exchange
from esb_agent.drivers.process.invoke_api import PATH, BadCallError, CallDefaults, InvokeApi, read_call
from esb_agent.drivers.process.runtime_api import RuntimeApi
from esb_agent.http_connection import Request

DEFAULTS = CallDefaults(b"arn:default", 3.0)


class NoRecord:
    def started(self, call):
        pass

    def finished(self, ending):
        return b""


class Peer:
    def __init__(self):
        self.answers = []

    def answer(self, status, headers, body):
        self.answers.append((status, headers, body))


@pytest.fixture
def told():
    return []


@pytest.fixture
async def sides(told):
    exchange = Exchange(
        on_ready=lambda: None,
        on_init_error=told.append,
        on_timeout=lambda _: None,
        record=NoRecord(),
    )
    runtime, invoke = RuntimeApi(exchange), InvokeApi(exchange, DEFAULTS)

    def to_runtime(method, path, body=b"", **headers):
        peer = Peer()
        named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
        runtime.on_request(peer, Request(method, b"/2018-06-01/runtime/" + path, named, body))
        return peer.answers

    def to_worker(body=b"{}", method=b"POST", path=PATH, **headers):
        peer = Peer()
        named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
        invoke.on_request(peer, Request(method, path, named, body))
        return peer.answers

    return to_runtime, to_worker


async def test_one_call_through_both_sides(sides):
    to_runtime, to_worker = sides
    waiting = to_runtime(b"GET", b"invocation/next")
    caller = to_worker(b"event", x_amzn_requestid=b"id-1")
    ((status, headers, body),) = waiting
    assert (status, body) == (200, b"event")
    assert b"Lambda-Runtime-Aws-Request-Id: id-1\r\n" in headers
    assert to_runtime(b"POST", b"invocation/id-1/response", b"out", content_type=b"text/plain")[0][0] == 202
    assert caller == [(200, b"Content-Type: text/plain\r\n", b"out")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        (b"POST", b"invocation/next", 405),
        (b"GET", b"restore/next", 404),
        (b"POST", b"invocation/x/other", 404),
        (b"POST", b"elsewhere", 404),
        (b"DELETE", b"init/error", 404),
        (b"POST", b"invocation/unknown/response", 400),
        (b"POST", b"invocation/unknown/error", 400),
    ],
)
async def test_what_the_runtime_api_does_not_have_is_refused(sides, method, path, status):
    to_runtime, _ = sides
    assert to_runtime(method, path)[0][0] == status


async def test_an_init_error_is_passed_on_as_the_runtime_wrote_it(sides, told):
    to_runtime, _ = sides
    to_runtime(b"POST", b"init/error", b'{"errorType": "Runtime.ImportModuleError"}')
    assert told == [b'{"errorType": "Runtime.ImportModuleError"}']


async def test_an_error_that_is_no_json_becomes_some(sides):
    to_runtime, to_worker = sides
    to_runtime(b"GET", b"invocation/next")
    caller = to_worker(x_amzn_requestid=b"id-1")
    to_runtime(
        b"POST",
        b"invocation/id-1/error",
        b"\xff plain",
        lambda_runtime_function_error_type=b"Extension.Crash",
    )
    assert json.loads(caller[0][2]) == {"errorType": "Extension.Crash", "errorMessage": "\ufffd plain"}


@pytest.mark.parametrize(("method", "path", "status"), [(b"GET", PATH, 405), (b"POST", b"/", 404)])
async def test_what_is_no_call_is_refused(sides, method, path, status):
    _, to_worker = sides
    assert to_worker(method=method, path=path)[0][0] == status


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({b"x-amzn-requestid": b"a/b"}, "Requestid"),
        ({b"x-amzn-requestid": b"x" * 129}, "Requestid"),
        ({b"x-esb-deadline-ms": b"soon"}, "X-Esb-Deadline-Ms"),
        ({b"x-esb-deadline-ms": b"-1"}, "X-Esb-Deadline-Ms"),
        ({b"x-amz-client-context": b"?"}, "client-context"),
        ({b"x-amz-client-context": base64.b64encode(b"no json")}, "client-context"),
        ({b"x-esb-cognito-identity": b"e30"}, "cognito"),
    ],
)
def test_a_header_that_is_not_what_it_should_be_is_named(headers, text):
    with pytest.raises(BadCallError, match=text):
        read_call(Peer(), Request(b"POST", PATH, headers, b""), DEFAULTS, 1000.0)


def test_a_call_without_headers_gets_an_id_a_deadline_and_the_functions_arn():
    call = read_call(Peer(), Request(b"POST", PATH, {}, b""), DEFAULTS, 1000.0)
    assert len(call.request_id) == 36
    assert call.seconds == 3.0
    assert b"Lambda-Runtime-Deadline-Ms: 1003000\r\n" in call.headers
    assert b"Lambda-Runtime-Invoked-Function-Arn: arn:default\r\n" in call.headers


@pytest.mark.parametrize(("deadline", "seconds"), [(b"1001500", 1.5), (b"1009000", 3.0), (b"5", 0.0)])
def test_the_earlier_of_timeout_and_deadline_counts(deadline, seconds):
    call = read_call(Peer(), Request(b"POST", PATH, {b"x-esb-deadline-ms": deadline}, b""), DEFAULTS, 1000.0)
    assert call.seconds == pytest.approx(seconds)


def test_a_client_context_becomes_one_line_of_ascii():
    context = base64.b64encode('{"custom": {"k":\n "ünï\u2028"}}'.encode())
    call = read_call(Peer(), Request(b"POST", PATH, {b"x-amz-client-context": context}, b""), DEFAULTS, 0.0)
    (line,) = [
        line for line in call.headers.split(b"\r\n") if line.startswith(b"Lambda-Runtime-Client-Context")
    ]
    assert line.isascii()
    assert json.loads(line.partition(b": ")[2]) == {"custom": {"k": "ünï\u2028"}}


async def test_json_too_deep_to_read_is_refused_or_replaced(sides):
    to_runtime, to_worker, *_ = sides
    deep = b"[" * 200_000
    ((status, _, _),) = to_worker(**{"x_amz_client_context": base64.b64encode(deep)})
    assert status == 400
    assert to_runtime(b"POST", b"init/error", deep)[0][0] == 202


@pytest.mark.parametrize("deadline", [b"9" * 400, b"9" * 5000])
async def test_an_absurd_deadline_is_a_bad_call(sides, deadline):
    _, to_worker, *_ = sides
    ((status, _, _),) = to_worker(x_esb_deadline_ms=deadline)
    assert status == 400


async def test_a_call_that_came_too_late_is_answered_as_timed_out_and_costs_no_worker(sides):
    to_runtime, to_worker, *_ = sides
    waiting = to_runtime(b"GET", b"invocation/next")
    ((status, headers, body),) = to_worker(x_amzn_requestid=b"id-1", x_esb_deadline_ms=b"1000")
    assert (status, b"X-Esb-Worker-Gone" in headers, waiting) == (200, False, [])
    assert json.loads(body)["errorType"] == "Sandbox.Timedout"
    assert json.loads(body)["errorMessage"].endswith("id-1 Task timed out after 0.00 seconds")


@pytest.mark.parametrize(
    ("value", "tail"), [(b"Tail", True), (b"tail", True), (b"None", False), (b"", False)]
)
def test_the_end_of_the_log_is_given_to_who_asks_for_it(value, tail):
    request = Request(b"POST", PATH, {b"x-esb-log-type": value, b"x-amzn-trace-id": b"Root=1-2"}, b"")
    call = read_call(Peer(), request, DEFAULTS, 1000.0)
    assert (call.tail, call.trace) == (tail, b"Root=1-2")
