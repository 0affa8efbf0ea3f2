"""The gateway as a process of its own, with real sockets; agent and workers are stubs in a thread here."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import grpc.aio
import httpx
import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from esb_agent_api import agent_pb2, agent_pb2_grpc
from ruamel.yaml import YAML

FUNCTIONS = {
    name: {"image": f"{name}:1", "scaling": {"max_capacity": 2, "acquire_timeout": 0.3}}
    for name in ("echo", "fail", "slow", "lost", "proxy", "hang")
} | {"off": {"image": "off:1", "scaling": {"max_capacity": 0}}}
ROUTES = [{"path": "/echo/{id}", "method": "ANY", "function": "proxy"}, {"path": "/slow", "function": "slow"}]


class Stubs:
    """Agent and workers; each function has a socket of its own and answers in its own way."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seen: list[str] = []
        self.bodies: list[bytes] = []
        self.release_slow = threading.Event()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._main(),))
        self._thread.start()
        self._ready.wait(10)

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        servers = [
            await asyncio.start_unix_server(self._worker(name), f"{self.directory}/{name}.sock")
            for name in FUNCTIONS
        ]
        agent = grpc.aio.server()
        agent_pb2_grpc.add_AgentServicer_to_server(StubAgent(self.directory), agent)
        agent.add_insecure_port(f"unix:{self.directory}/agent.sock")
        await agent.start()
        self._ready.set()
        await self._stop.wait()
        await agent.stop(None)
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def _worker(self, name: str):
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                    await self._answer(name, await reader.readexactly(length), writer)
            except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
                writer.close()

        return serve

    async def _answer(self, name: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        self.seen.append(name)
        self.bodies.append(body)
        headers, answer = "", body
        if name == "fail":
            headers, answer = (
                "X-Amz-Function-Error: Unhandled\r\n",
                b'{"errorType": "KeyError", "errorMessage": "k"}',
            )
        elif name in ("slow", "hang"):
            await asyncio.to_thread(self.release_slow.wait, 30)
            answer = b'{"statusCode": 200, "body": "late"}'
        elif name == "lost":
            writer.close()
            return
        elif name == "proxy":
            event = json.dumps(json.loads(body))
            answer = json.dumps({"statusCode": 200, "headers": {"X-From": "fn"}, "body": event}).encode()
        writer.write(f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {len(answer)}\r\n\r\n".encode() + answer)

    def close(self) -> None:
        self.release_slow.set()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()


class StubAgent(agent_pb2_grpc.AgentServicer):
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.workers: dict[str, agent_pb2.Worker] = {}

    async def EnsureWorker(self, request, context):
        worker = self.workers[request.worker_id] = agent_pb2.Worker(
            worker_id=request.worker_id,
            function=request.spec.name,
            address=f"unix:{self.directory}/{request.spec.name}.sock",
            fingerprint=request.fingerprint,
            state=agent_pb2.WORKER_STATE_READY,
        )
        return agent_pb2.EnsureWorkerResponse(worker=worker)

    async def DestroyWorker(self, request, context):
        with (self.directory / "destroyed").open("a") as file:
            file.write(f"{request.worker_id}\n")
        self.workers.pop(request.worker_id, None)
        return agent_pb2.DestroyWorkerResponse(existed=True)

    async def ListWorkers(self, request, context):
        return agent_pb2.ListWorkersResponse(workers=self.workers.values())

    async def Health(self, request, context):
        return agent_pb2.HealthResponse(serving=True, driver="stub")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Box:
    """A running gateway process."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.directory = directory
        self.stubs = Stubs(directory)
        (directory / "functions.yml").write_text(json.dumps({"functions": FUNCTIONS}))
        (directory / "routing.yml").write_text(json.dumps({"routes": ROUTES}))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environ = {
            **os.environ,
            "ESB_CONFIG_DIR": str(directory),
            "ESB_AGENT_ADDRESS": f"unix:{directory}/agent.sock",
            "ESB_GATEWAY_PORT": str(self.port),
            "ESB_GATEWAY_STATE_DIR": f"{directory}/state",
            "AWS_ACCESS_KEY_ID": "ESBFUNCTIONS",
            "AWS_SECRET_ACCESS_KEY": "functions-secret-key",
            **settings,
        }
        self.log = directory / "gateway.log"
        self.start()

    def start(self, *wrapper: str) -> None:
        command = [*wrapper, sys.executable, "-m", "esb_gateway"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environ, stderr=log)
        self.wait_for(self.healthy)

    def wait_for(self, check, within: float = 20.0) -> None:
        deadline = time.monotonic() + within
        while not check():
            assert self.process.poll() is None or time.monotonic() > deadline, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as response:
                return json.load(response)["status"] == "ok"
        except OSError:
            return False

    def metric(self, line: str) -> float:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as response:
            found = [one for one in response.read().decode().splitlines() if one.startswith(line + " ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def close(self) -> None:
        self.stubs.release_slow.set()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(20)
        self.stubs.close()


@pytest.fixture(scope="module")
def box(tmp_path_factory) -> Iterator[Box]:
    running = Box(tmp_path_factory.mktemp("box"))
    yield running
    running.close()
    assert '"level":"error"' not in running.log.read_text()


@pytest.fixture(scope="module")
def client(box: Box):
    made = boto3.client(
        "lambda",
        endpoint_url=box.url,
        region_name="us-east-1",
        aws_access_key_id="ESBFUNCTIONS",
        aws_secret_access_key="functions-secret-key",
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield made
    made.close()


def receive(connection: socket.socket, until: bytes) -> bytes:
    data = b""
    while until not in data:
        part = connection.recv(65536)
        if not part:
            break
        data += part
    return data


def test_boto3_invokes_and_reads_the_answer(client):
    response = client.invoke(FunctionName="echo", Payload=json.dumps({"a": "é"}))
    assert json.load(response["Payload"]) == {"a": "é"}
    assert (response["StatusCode"], response["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in response
    assert response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize(
    "named",
    [
        {"FunctionName": "arn:aws:lambda:us-east-1:000000000000:function:echo"},
        {"FunctionName": "000000000000:function:echo"},
        {"FunctionName": "echo", "Qualifier": "$LATEST"},
        {"FunctionName": "echo:live"},
    ],
)
def test_boto3_may_name_a_function_in_every_form(client, named):
    assert json.load(client.invoke(**named, Payload=b"1")["Payload"]) == 1


def test_boto3_sees_a_functions_error(client):
    response = client.invoke(FunctionName="fail", Payload=b"{}")
    assert (response["StatusCode"], response["FunctionError"]) == (200, "Unhandled")
    assert json.load(response["Payload"])["errorType"] == "KeyError"


def test_boto3_sends_events_and_dry_runs(box, client):
    before = box.stubs.seen.count("echo")
    assert client.invoke(FunctionName="echo", InvocationType="DryRun")["StatusCode"] == 204
    assert client.invoke(FunctionName="echo", InvocationType="Event", Payload=b"{}")["StatusCode"] == 202
    box.wait_for(lambda: box.stubs.seen.count("echo") == before + 1)


def test_boto3_raises_its_own_exceptions(box, client):
    errors = client.exceptions
    with pytest.raises(errors.ResourceNotFoundException) as missing:
        client.invoke(FunctionName="nobody")
    assert missing.value.response["Error"]["Message"].endswith(":function:nobody")
    with pytest.raises(errors.TooManyRequestsException) as throttled:
        client.invoke(FunctionName="off")
    assert throttled.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert throttled.value.response["retryAfterSeconds"] == "1"
    with pytest.raises(errors.InvalidRequestContentException, match="Could not parse request body into json"):
        client.invoke(FunctionName="echo", Payload=b"{")
    with pytest.raises(errors.RequestTooLargeException, match="smaller than 6291456 bytes"):
        client.invoke(FunctionName="echo", Payload=b'"' + b"x" * 6 * 1024 * 1024 + b'"')
    before = box.stubs.seen.count("lost")
    with pytest.raises(errors.ServiceException, match="connection closed by the worker"):
        client.invoke(FunctionName="lost", Payload=b"{}")
    assert box.stubs.seen.count("lost") == before + 1  # it was reached: nobody knows how far the call came
    with pytest.raises(errors.InvalidParameterValueException):
        client.invoke(FunctionName="echo:a", Qualifier="b")
    with pytest.raises(ClientError, match="ValidationException"):
        client.invoke(FunctionName="a:b:c:d", Payload=b"{}")


def test_boto3_reads_a_response_stream(client):
    payload = b'"' + b"x" * 200_000 + b'"'
    answer = client.invoke_with_response_stream(FunctionName="echo", Payload=payload)
    *chunks, last = answer["EventStream"]
    assert b"".join(one["PayloadChunk"]["Payload"] for one in chunks) == payload
    assert last == {"InvokeComplete": {}}
    (failed,) = client.invoke_with_response_stream(FunctionName="fail", Payload=b"{}")["EventStream"]
    assert failed["InvokeComplete"]["ErrorCode"] == "Unhandled"
    with pytest.raises(client.exceptions.ServiceException, match="connection closed by the worker"):
        client.invoke_with_response_stream(FunctionName="lost", Payload=b"{}")


def test_boto3_lists_and_describes_functions(client):
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 3})
    assert [one["FunctionName"] for page in pages for one in page["Functions"]] == sorted(FUNCTIONS)
    assert client.get_function(FunctionName="off")["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function_configuration(FunctionName="nobody")
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="Invalid marker"):
        client.list_functions(Marker="x")
    with pytest.raises(ClientError, match="AccessDeniedException"):
        client.update_function_configuration(FunctionName="echo", Timeout=9)


def test_a_large_payload_goes_there_and_back(client):
    payload = b'"' + b"x" * (6 * 1024 * 1024 - 2) + b'"'
    assert client.invoke(FunctionName="echo", Payload=payload)["Payload"].read() == payload


def test_a_connection_is_kept_and_header_names_stay_as_they_were_sent(box):
    with box.connect() as connection:
        for _ in range(2):
            connection.sendall(b"GET /echo/1 HTTP/1.1\r\nHost: box\r\nX-MixedCase: yes\r\n\r\n")
            data = receive(connection, b'"isBase64Encoded": false}')
            head, _, body = data.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"x-from: fn" in head
            assert json.loads(body)["headers"]["X-MixedCase"] == "yes"


def test_pipelined_requests_are_answered_in_order(box):
    with box.connect() as connection:
        connection.sendall(b"".join(b"GET /echo/%d HTTP/1.1\r\nHost: b\r\n\r\n" % n for n in range(5)))
        data = b""
        while data.count(b"isBase64Encoded") < 5:
            data += connection.recv(65536)
    ids = [data.find(b'"path": "/echo/%d"' % n) for n in range(5)]
    assert ids == sorted(ids)
    assert -1 not in ids


def test_head_and_chunked_and_expect_continue_work(box):
    with box.connect() as connection:
        connection.sendall(b"HEAD /echo/1 HTTP/1.1\r\nHost: b\r\n\r\n")
        assert receive(connection, b"\r\n\r\n").endswith(b"\r\n\r\n")
        connection.sendall(
            b"POST /echo/1 HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        assert b'"body": "abcde"' in receive(connection, b"isBase64Encoded")
        connection.sendall(
            b"POST /echo/1 HTTP/1.1\r\nHost: b\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        assert receive(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hi")
        assert b'"body": "hi"' in receive(connection, b"isBase64Encoded")


@pytest.mark.parametrize(
    "request_line",
    [b"GET //echo/1", b"GET /%ff%00", b"GET http://x/y", b"OPTIONS *", b"GET \xff"],
)
def test_odd_requests_are_answered_and_harm_nobody(box, request_line):
    with box.connect() as connection:
        connection.sendall(request_line + b" HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
        assert receive(connection, b"\r\n\r\n").startswith(b"HTTP/1.1 40")
    assert box.healthy()


def test_a_client_that_hangs_up_during_a_call_leaks_no_worker(box):
    box.stubs.release_slow.clear()
    before = box.stubs.seen.count("slow")
    with box.connect() as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: b\r\n\r\n")
        box.wait_for(lambda: box.stubs.seen.count("slow") == before + 1)
    assert box.metric('esb_gateway_workers{function="slow",state="busy"}') == 1
    box.stubs.release_slow.set()
    box.wait_for(lambda: box.metric('esb_gateway_workers{function="slow",state="idle"}') == 1)
    assert box.metric('esb_gateway_workers_lost_total{function="slow"}') == 0


def test_calls_beyond_the_limit_are_throttled_after_the_acquire_timeout(box, client):
    box.stubs.release_slow.clear()
    before = box.stubs.seen.count("hang")
    for _ in range(2):
        client.invoke(FunctionName="hang", InvocationType="Event", Payload=b"{}")
    box.wait_for(lambda: box.stubs.seen.count("hang") == before + 2)
    with pytest.raises(
        client.exceptions.TooManyRequestsException, match=r"no worker became free within 0\.3 s"
    ):
        client.invoke(FunctionName="hang", Payload=b"{}")
    box.stubs.release_slow.set()


@pytest.mark.parametrize("workers", ["keep", "end"])
def test_a_stop_by_signal_answers_calls_in_flight_and_leaves_or_ends_all_workers(tmp_path, workers):
    box = Box(tmp_path, ESB_GATEWAY_STOP_WORKERS=workers)
    try:
        with box.connect() as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: b\r\n\r\n")
            box.wait_for(lambda: "slow" in box.stubs.seen)
            box.process.send_signal(signal.SIGTERM)
            box.stubs.release_slow.set()
            assert receive(connection, b"late").startswith(b"HTTP/1.1 200 OK")
        assert box.process.wait(20) == 0
        assert (tmp_path / "destroyed").exists() == (workers == "end")
        lines = [json.loads(line) for line in box.log.read_text().splitlines()]
        assert lines[-1]["event"] == "stopped"
        assert [line["status"] for line in lines if line.get("function") == "slow"] == [200]
    finally:
        box.close()


def send_events(box: Box, worker: int, accepted: list[bytes]) -> None:
    """Send events, one after the other, until nobody answers any more; `accepted` are those answered 202."""
    path = f"{box.url}/2015-03-31/functions/echo/invocations"
    with httpx.Client(headers={"x-amz-invocation-type": "Event"}, timeout=10) as client:
        for number in range(100_000):
            body = b'"%d-%d"' % (worker, number)
            try:
                if client.post(path, content=body).status_code == 202:
                    accepted.append(body)
            except httpx.TransportError:
                return


def test_every_accepted_event_is_delivered_though_the_gateway_is_killed_under_load(tmp_path):
    box = Box(tmp_path, ESB_GATEWAY_SIGV4="off")
    try:
        for _ in range(2):
            accepted: list[bytes] = []
            box.stubs.bodies.clear()
            senders = [threading.Thread(target=send_events, args=(box, n, accepted)) for n in range(4)]
            for sender in senders:
                sender.start()
            box.wait_for(lambda accepted=accepted: len(accepted) > 200)
            box.process.kill()
            for sender in senders:
                sender.join()
            box.process.wait()
            box.start()
            box.wait_for(lambda accepted=accepted: set(accepted) <= set(box.stubs.bodies))
            box.wait_for(lambda: box.metric("esb_gateway_events_pending") == 0)
    finally:
        box.close()


def test_a_stop_leaves_what_was_not_begun_for_the_next_start(tmp_path):
    box = Box(tmp_path, ESB_GATEWAY_SIGV4="off", ESB_GATEWAY_DRAIN_TIMEOUT="0.2")
    try:
        path = f"{box.url}/2015-03-31/functions/slow/invocations"
        for number in range(5):
            sent = httpx.post(path, content=b"%d" % number, headers={"x-amz-invocation-type": "Event"})
            assert sent.status_code == 202
        box.process.terminate()
        assert box.process.wait(20) == 0
        box.stubs.release_slow.set()
        box.stubs.bodies.clear()
        box.start()
        box.wait_for(lambda: {b"%d" % number for number in range(5)} <= set(box.stubs.bodies))
    finally:
        box.close()


def test_a_full_disk_is_told_and_never_accepted(tmp_path):
    box = Box(tmp_path, ESB_GATEWAY_SIGV4="off")
    try:
        box.process.terminate()
        box.process.wait(20)
        box.start("bash", "-c", 'ulimit -f 400 && exec "$0" "$@"')
        path = f"{box.url}/2015-03-31/functions/echo/invocations"
        event = {"x-amz-invocation-type": "Event"}
        full = httpx.post(path, content=b'"' + b"x" * 1_000_000 + b'"', headers=event)
        assert (full.status_code, full.headers["x-amzn-errortype"]) == (500, "ServiceException")
        assert "could not be stored" in full.json()["Message"]
        assert httpx.post(path, content=b"1", headers=event).status_code == 202
        box.wait_for(lambda: b"1" in box.stubs.bodies)
        assert all(len(body) < 1_000_000 for body in box.stubs.bodies)
    finally:
        box.close()


def lambda_client(box, key="ESBFUNCTIONS", secret="functions-secret-key", **more):
    return boto3.client(
        "lambda",
        endpoint_url=box.url,
        region_name=more.pop("region", "us-east-1"),
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, **more.pop("config", {})),
        **more,
    )


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ({"key": "AKIANOBODY"}, "UnrecognizedClientException", "The security token included in the request"),
        ({"secret": "guessed"}, "InvalidSignatureException", "The request signature we calculated does not"),
        ({"aws_session_token": "t"}, "UnrecognizedClientException", "The security token included in the"),
        (
            {"region": "eu-west-1"},
            "InvalidSignatureException",
            "Credential should be scoped to a valid region",
        ),
        (
            {"config": {"signature_version": UNSIGNED}},
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ),
    ],
)
def test_boto3_without_the_right_signature_is_refused_as_on_aws(box, how, code, message):
    refused = lambda_client(box, **how)
    with pytest.raises(ClientError) as caught:
        refused.invoke(FunctionName="echo", Payload=b"{}")
    refused.close()
    error = caught.value.response
    assert (error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]) == (403, code)
    assert error["Error"]["Message"].startswith(message)


def test_the_operators_pair_made_at_the_first_start_opens_the_gateway(box):
    made = YAML(typ="safe").load(box.directory / "state" / "credentials.yml")
    operator = next(key for key in made["access_keys"] if key["name"] == "operator")
    client = lambda_client(box, operator["access_key_id"], operator["secret_access_key"])
    assert json.load(client.invoke(FunctionName="echo", Payload=b"1")["Payload"]) == 1
    client.close()
    log = box.log.read_text()
    assert '"event":"credentials made"' in log
    assert operator["secret_access_key"] not in log


def test_a_presigned_call_and_a_login_work_over_http(box):
    path = "/2015-03-31/functions/echo/invocations"
    request = AWSRequest("POST", box.url + path)
    credentials = Credentials("ESBFUNCTIONS", "functions-secret-key")
    SigV4QueryAuth(credentials, "lambda", "us-east-1", expires=60).add_auth(request)
    assert httpx.post(request.prepare().url).json() == {}
    assert httpx.post(request.prepare().url, content=b"[1]").status_code == 403
    made = YAML(typ="safe").load(box.directory / "state" / "credentials.yml")
    login = {"AuthParameters": {"USERNAME": "admin", "PASSWORD": made["users"][0]["password"]}}
    answer = httpx.post(
        f"{box.url}/user/auth/v1", json=login, headers={"x-api-key": made["api_keys"][0]["value"]}
    )
    assert answer.status_code == 200
    assert (b"PADMA_USER_AUTHORIZED", b"true") in answer.headers.raw
    assert answer.json()["AuthenticationResult"]["TokenType"] == "Bearer"
    assert made["users"][0]["password"] not in box.log.read_text()
