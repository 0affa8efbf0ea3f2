"""The gateway before a stub worker, beside the stub alone: requests per second, latency, what it adds.

    python benchmarks/bench_gateway.py [--seconds 2] [--rounds 5] [--access-log on|off] [--loop uvloop]

Everything runs in one go on one machine: a stub worker, a stub agent and the gateway in processes of their
own, the load from this one. Invocations are measured twice: signed, and at a second gateway that takes them
without a signature. The signatures are made before the time runs, 64 different ones for each connection to go
through. The stub is a bare asyncio protocol with a real HTTP parser and one fixed answer,
the load the same from the other side; `--loop` says on which event loop these two run, the gateway is always
on uvloop. Rounds go from target to target, so that what else the machine does falls on all; a figure is the
median of its rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, cast

import grpc.aio
import httptools
import uvloop
from esb_agent_api import agent_pb2, agent_pb2_grpc

ANSWER = b'{"statusCode":200,"headers":{"content-type":"application/json"},"body":"{\\"ok\\":true}"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
PAYLOAD = b'{"name":"world","items":[1,2,3],"nested":{"a":"b"}}'
CONNECTIONS = (1, 32)
LOOPS = {"asyncio": None, "uvloop": uvloop.new_event_loop}
SIGNED, OPEN = "invoke signed", "invoke unsigned"
SIGNATURES = 64  # of different seconds: a verifier must not live on having seen the request before
Aim = tuple[int, Callable[[], list[bytes]]]  # a port and what makes the requests for it
Figures = dict[str, float]
Results = dict[tuple[str, int], list[Figures]]


class StubWorker(asyncio.Protocol):
    """Answers every request with the same bytes."""

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.transport.write(HEAD + ANSWER)


class StubAgent(agent_pb2_grpc.AgentServicer):
    """All its workers are the one stub."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.workers: dict[str, agent_pb2.Worker] = {}

    async def EnsureWorker(  # noqa: N802 - the interface's name
        self, request: agent_pb2.EnsureWorkerRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> agent_pb2.EnsureWorkerResponse:
        worker = self.workers[request.worker_id] = agent_pb2.Worker(
            worker_id=request.worker_id,
            owner_id=request.owner_id,
            function=request.spec.name,
            address=f"unix:{self.directory}/worker.sock",
            fingerprint=request.fingerprint,
            state=agent_pb2.WORKER_STATE_READY,
        )
        return agent_pb2.EnsureWorkerResponse(worker=worker, created=True)

    async def DestroyWorker(  # noqa: N802 - the interface's name
        self, request: agent_pb2.DestroyWorkerRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> agent_pb2.DestroyWorkerResponse:
        return agent_pb2.DestroyWorkerResponse(existed=self.workers.pop(request.worker_id, None) is not None)

    async def ListWorkers(  # noqa: N802 - the interface's name
        self, request: agent_pb2.ListWorkersRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> agent_pb2.ListWorkersResponse:
        return agent_pb2.ListWorkersResponse(
            workers=[one for one in self.workers.values() if one.owner_id == request.owner_id]
        )

    async def Health(  # noqa: N802 - the interface's name
        self, request: agent_pb2.HealthRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> agent_pb2.HealthResponse:
        return agent_pb2.HealthResponse(serving=True, driver="stub")


async def serve_worker(directory: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_unix_server(StubWorker, f"{directory}/worker.sock")
    await loop.create_server(StubWorker, "127.0.0.1", port)
    await asyncio.Event().wait()


async def serve_agent(directory: str) -> None:
    server = grpc.aio.server()
    agent_pb2_grpc.add_AgentServicer_to_server(StubAgent(directory), server)
    server.add_insecure_port(f"unix:{directory}/agent.sock")
    await server.start()
    await asyncio.Event().wait()


class Client(asyncio.Protocol):
    """Sends the next request as soon as one is answered, until the time is over; keeps the times."""

    def __init__(self, requests: list[bytes], done: asyncio.Future[None]) -> None:
        self.requests, self.done = cycle(requests), done
        self.times: list[float] = []
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def start(self, until: float) -> None:
        self.until, self.sent = until, time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        self.times.append(now - self.sent)
        if self.parser.get_status_code() != 200:
            self.finish(RuntimeError(f"status {self.parser.get_status_code()}"))
        elif now < self.until:
            self.sent = now
            self.transport.write(next(self.requests))
        else:
            self.finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.finish(ConnectionError(str(exc)))

    def finish(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error) if error else self.done.set_result(None)


async def load(
    port: int, requests: list[bytes], connections: int, seconds: float, host: str = "127.0.0.1"
) -> Figures:
    loop = asyncio.get_running_loop()
    waiting = [loop.create_future() for _ in range(connections)]
    pairs = [await loop.create_connection(partial(Client, requests, done), host, port) for done in waiting]
    started = time.perf_counter()
    for _, client in pairs:
        client.start(started + seconds)
    await asyncio.gather(*waiting)
    elapsed = time.perf_counter() - started
    times = sorted(taken for _, client in pairs for taken in client.times)
    for transport, _ in pairs:
        transport.abort()
    return {
        "rps": len(times) / elapsed,
        "p50": times[len(times) // 2] * 1000,
        "p99": times[int(len(times) * 0.99)] * 1000,
    }


def http_request(path: str, *headers: str) -> bytes:
    fixed = ["Host: localhost:8080", "Content-Type: application/json", f"Content-Length: {len(PAYLOAD)}"]
    return "\r\n".join([f"POST {path} HTTP/1.1", *fixed, *headers, "", ""]).encode() + PAYLOAD


def signed(path: str, key: tuple[str, str]) -> list[bytes]:
    """The request with signatures of the last seconds, as an AWS client makes them."""
    access_key, secret = key
    body_hash = hashlib.sha256(PAYLOAD).hexdigest()
    names, requests = "host;x-amz-date", []
    for ago in range(SIGNATURES):
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - ago))
        scope = f"{stamp[:8]}/us-east-1/lambda/aws4_request"
        canonical = f"POST\n{path}\n\nhost:localhost:8080\nx-amz-date:{stamp}\n\n{names}\n{body_hash}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = f"AWS4{secret}".encode()
        for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"):
            signature = hmac.digest(signature, part.encode(), "sha256")
        authorization = f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}"
        requests.append(
            http_request(
                path,
                f"X-Amz-Date: {stamp}",
                f"Authorization: {authorization}, Signature={signature.hex()}",
            )
        )
    return requests


def targets(worker_port: int, gateway_port: int, open_port: int, key: tuple[str, str]) -> dict[str, Aim]:
    invocations = "/2015-03-31/functions/{}/invocations"
    invoke = invocations.format("hello")
    browser = ("Accept: */*", "User-Agent: bench")
    return {
        "stub worker": (worker_port, lambda: [http_request(invocations.format("function"))]),
        SIGNED: (gateway_port, lambda: signed(invoke, key)),
        OPEN: (open_port, lambda: [http_request(invoke)]),
        "route": (gateway_port, lambda: [http_request("/orders/17?full=yes", *browser)]),
    }


def measure(aims: dict[str, Aim], options: argparse.Namespace) -> Results:
    results: Results = {}
    with asyncio.Runner(loop_factory=LOOPS[options.loop]) as runner:
        for port, requests in aims.values():
            runner.run(load(port, requests(), max(CONNECTIONS), 0.5))
        for _ in range(options.rounds):
            for connections in CONNECTIONS:
                for name, (port, requests) in aims.items():
                    figures = runner.run(load(port, requests(), connections, options.seconds))
                    results.setdefault((name, connections), []).append(figures)
    return results


def report(results: Results) -> None:
    def median(key: tuple[str, int], figure: str) -> float:
        return statistics.median(one[figure] for one in results[key])

    columns = ("conns", "req/s", "of stub", "p50 ms", "p99 ms", "+p50", "+p99")
    print(f"{'':16}" + "".join(f"{column:>9}" for column in columns))
    for name, connections in sorted(results, key=lambda key: key[1]):
        key, base = (name, connections), ("stub worker", connections)
        rps, p50, p99 = (median(key, figure) for figure in ("rps", "p50", "p99"))
        share = rps / median(base, "rps")
        added = p50 - median(base, "p50"), p99 - median(base, "p99")
        print(
            f"{name:16}{connections:>9}{rps:>9.0f}{share:>9.0%}{p50:>9.3f}{p99:>9.3f}"
            + "".join(f"{one:>9.3f}" for one in added)
        )


def write_config(directory: Path) -> None:
    workers = max(CONNECTIONS)
    (directory / "functions.yml").write_text(
        "functions:\n  hello:\n    image: hello:1\n"
        f"    scaling: {{min_capacity: {workers}, max_capacity: {workers}}}\n"
    )
    (directory / "routing.yml").write_text(
        "routes:\n"
        "  - {path: /orders, method: GET, function: hello}\n"
        "  - {path: '/orders/{id}', method: POST, function: hello}\n"
        "  - {path: '/{proxy+}', method: ANY, function: hello}\n"
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(check: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come up within {seconds} s")
        time.sleep(0.05)


def all_warm(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            return f'state="idle"}} {max(CONNECTIONS)}.0' in answer.read().decode()
    except OSError:
        return False


@contextlib.contextmanager
def processes(directory: Path, access_log: str, loop: str = "asyncio") -> Iterator[dict[str, Aim]]:
    """Stubs and gateways, started in order; yields what to measure."""
    worker_port, gateway_port, open_port = free_port(), free_port(), free_port()
    key = ("ESBBENCHMARK", "of-no-use-elsewhere")
    write_config(directory)
    stub = [sys.executable, __file__, "--directory", str(directory), "--port", str(worker_port)]
    stub += ["--loop", loop, "--role"]
    running = []
    with (directory / "gateway.log").open("wb") as log:
        try:
            for role in ("worker", "agent"):
                running.append(subprocess.Popen([*stub, role]))
                wait_for((directory / f"{role}.sock").exists, f"stub {role}")
            for port, sigv4 in ((gateway_port, "required"), (open_port, "off")):
                environ = {
                    **os.environ,
                    "ESB_CONFIG_DIR": str(directory),
                    "ESB_GATEWAY_STATE_DIR": str(directory / f"state-{sigv4}"),
                    "ESB_OWNER_ID": f"bench-{sigv4}",
                    "ESB_AGENT_ADDRESS": f"unix:{directory}/agent.sock",
                    "ESB_GATEWAY_PORT": str(port),
                    "ESB_GATEWAY_ACCESS_LOG": access_log,
                    "ESB_GATEWAY_SIGV4": sigv4,
                    "AWS_ACCESS_KEY_ID": key[0],
                    "AWS_SECRET_ACCESS_KEY": key[1],
                }
                running.append(
                    subprocess.Popen([sys.executable, "-m", "esb_gateway"], env=environ, stderr=log)
                )
                wait_for(partial(all_warm, port), "gateway")
            yield targets(worker_port, gateway_port, open_port, key)
        finally:
            for process in reversed(running):
                process.send_signal(signal.SIGTERM)
            for process in running:
                process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--access-log", choices=("on", "off"), default="on")
    parser.add_argument("--loop", choices=tuple(LOOPS), default="asyncio", help="of stub and load")
    parser.add_argument("--json", action="store_true", help="print the raw figures")
    for internal in ("--role", "--directory", "--port"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "agent":
        asyncio.run(serve_agent(options.directory))
    elif options.role == "worker":
        with asyncio.Runner(loop_factory=LOOPS[options.loop]) as runner:
            runner.run(serve_worker(options.directory, int(options.port)))
    with (
        tempfile.TemporaryDirectory() as name,
        processes(Path(name), options.access_log, options.loop) as aims,
    ):
        results = measure(aims, options)
    if options.json:
        print(json.dumps([[*key, rounds] for key, rounds in results.items()]))
        return
    # Builds of the same version differ by a fifth.
    interpreter = f"Python {platform.python_version()} at {Path(sys.executable).resolve()}"
    print(f"{platform.machine()}, {os.cpu_count()} cores, {interpreter}")
    print(f"access log {options.access_log}, stub and load on {options.loop}, {options.rounds} rounds")
    report(results)


if __name__ == "__main__":
    main()
