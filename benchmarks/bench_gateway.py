"""The gateway before a stub worker, beside the stub alone: requests per second, latency, and what the gateway adds.

    python benchmarks/bench_gateway.py [--seconds 3] [--rounds 3] [--access-log on]

Everything runs in one go on one machine: a stub worker, a stub agent and the gateway in processes of their own, the load from
this one. The stub is a raw asyncio protocol on uvloop: it sets a hard mark. Rounds alternate between the three targets, so that
what else the machine does falls on all of them; each figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
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
from pathlib import Path

import uvloop

ANSWER = json.dumps({"statusCode": 200, "headers": {"content-type": "application/json"}, "body": '{"ok":true}'}).encode()
PAYLOAD = b'{"name":"world","items":[1,2,3],"nested":{"a":"b"}}'
CONNECTIONS = (1, 32)


class StubWorker(asyncio.Protocol):
    """Answers every complete request with the same bytes."""

    reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)

    def __init__(self) -> None:
        self.buffer = b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        while (size := message_size(self.buffer)) and len(self.buffer) >= size:
            self.buffer = self.buffer[size:]
            self.transport.write(self.reply)


def message_size(data: bytes) -> int:
    """Size of the HTTP message at the start of data; 0 while its headers are not complete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    at = data.find(b"ontent-", 0, end)
    while at >= 0 and data[at + 7 : at + 14].lower() != b"length:":
        at = data.find(b"ontent-", at + 7, end)
    length = int(data[at + 14 : data.find(b"\r\n", at)]) if at >= 0 else 0
    return end + 4 + length


async def serve_worker(directory: str) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_unix_server(StubWorker, f"{directory}/worker.sock")
    await loop.create_server(StubWorker, "127.0.0.1", int(Path(directory, "worker.port").read_text()))
    Path(directory, "worker.ready").touch()
    await asyncio.Event().wait()


async def serve_agent(directory: str) -> None:
    import grpc.aio
    from esb_agent_api import agent_pb2, agent_pb2_grpc

    class StubAgent(agent_pb2_grpc.AgentServicer):
        async def EnsureWorker(self, request, context):
            worker = agent_pb2.Worker(
                worker_id=request.worker_id,
                owner_id=request.owner_id,
                state=agent_pb2.WORKER_STATE_READY,
                address=f"unix:{directory}/worker.sock",
            )
            return agent_pb2.EnsureWorkerResponse(worker=worker, created=True)

        async def DestroyWorker(self, request, context):
            return agent_pb2.DestroyWorkerResponse(existed=True)

        async def ListWorkers(self, request, context):
            return agent_pb2.ListWorkersResponse()

        async def Health(self, request, context):
            return agent_pb2.HealthResponse(serving=True, driver="stub")

    server = grpc.aio.server()
    agent_pb2_grpc.add_AgentServicer_to_server(StubAgent(), server)
    server.add_insecure_port(f"unix:{directory}/agent.sock")
    await server.start()
    Path(directory, "agent.ready").touch()
    await asyncio.Event().wait()


class Client(asyncio.Protocol):
    """Sends the same request again as soon as it is answered, until told to stop; keeps the times."""

    def __init__(self, request: bytes, done: asyncio.Future) -> None:
        self.request, self.done = request, done
        self.times: list[float] = []
        self.until = 0.0
        self.buffer = b""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def start(self, until: float) -> None:
        self.until = until
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        size = message_size(self.buffer)
        if not size or len(self.buffer) < size:
            return
        if not self.buffer.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.buffer[:300].decode()))
            return
        self.buffer = b""
        now = time.perf_counter()
        self.times.append(now - self.sent)
        if now < self.until:
            self.sent = now
            self.transport.write(self.request)
        elif not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(str(exc)))


async def load(port: int, request: bytes, connections: int, seconds: float) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(connections):
        done = loop.create_future()
        transport, client = await loop.create_connection(lambda done=done: Client(request, done), "127.0.0.1", port)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        clients.append((transport, client, done))
    started = time.perf_counter()
    for _, client, _ in clients:
        client.start(started + seconds)
    await asyncio.gather(*(done for _, _, done in clients))
    elapsed = time.perf_counter() - started
    times = sorted(t for _, client, _ in clients for t in client.times)
    for transport, _, _ in clients:
        transport.abort()
    return {
        "rps": len(times) / elapsed,
        "p50": times[len(times) // 2] * 1000,
        "p99": times[int(len(times) * 0.99)] * 1000,
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(check, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return
        time.sleep(0.05)
    raise SystemExit(f"{what} did not come up within {seconds} s")


def warm(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            return f'state="idle"}} {max(CONNECTIONS)}.0' in answer.read().decode()
    except OSError:
        return False


def http_request(method: str, path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost:8080", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def targets(worker_port: int, gateway_port: int) -> dict[str, tuple[int, bytes]]:
    invoke = "/2015-03-31/functions/{}/invocations"
    json_type = "Content-Type: application/json"
    return {
        "stub worker": (worker_port, http_request("POST", invoke.format("function"), PAYLOAD, json_type)),
        "gateway invoke": (gateway_port, http_request("POST", invoke.format("hello"), PAYLOAD, json_type)),
        "gateway route": (
            gateway_port,
            http_request("POST", "/orders/17?full=yes", PAYLOAD, json_type, "Accept: */*", "User-Agent: bench"),
        ),
    }


def measure(ports: tuple[int, int], seconds: float, rounds: int) -> dict[tuple[str, int], list[dict[str, float]]]:
    results: dict[tuple[str, int], list[dict[str, float]]] = {}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for name, (port, request) in targets(*ports).items():
            runner.run(load(port, request, max(CONNECTIONS), 0.5))
        for _ in range(rounds):
            for connections in CONNECTIONS:
                for name, (port, request) in targets(*ports).items():
                    figures = runner.run(load(port, request, connections, seconds))
                    results.setdefault((name, connections), []).append(figures)
    return results


def report(results: dict[tuple[str, int], list[dict[str, float]]]) -> None:
    def median(key: tuple[str, int], figure: str) -> float:
        return statistics.median(one[figure] for one in results[key])

    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, one gateway process")
    print(f"{'':16}{'conns':>6}{'req/s':>9}{'of stub':>9}{'p50 ms':>9}{'p99 ms':>9}{'+p50':>8}{'+p99':>8}")
    for connections in CONNECTIONS:
        base = ("stub worker", connections)
        for name in dict.fromkeys(name for name, _ in results):
            key = (name, connections)
            print(
                f"{name:16}{connections:>6}{median(key, 'rps'):>9.0f}{median(key, 'rps') / median(base, 'rps'):>9.0%}"
                f"{median(key, 'p50'):>9.3f}{median(key, 'p99'):>9.3f}"
                f"{median(key, 'p50') - median(base, 'p50'):>8.3f}{median(key, 'p99') - median(base, 'p99'):>8.3f}"
            )


def write_config(directory: Path) -> None:
    count = max(CONNECTIONS)
    (directory / "functions.yml").write_text(
        f"functions:\n  hello:\n    image: hello:1\n    scaling: {{min_capacity: {count}, max_capacity: {count}}}\n"
    )
    (directory / "routing.yml").write_text(
        "routes:\n"
        "  - {path: /orders, method: GET, function: hello}\n"
        "  - {path: '/orders/{id}', method: POST, function: hello}\n"
        "  - {path: '/{proxy+}', method: ANY, function: hello}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--access-log", choices=("on", "off"), default="on")
    parser.add_argument("--json", action="store_true", help="print the raw figures")
    parser.add_argument("--role", choices=("worker", "agent"), help=argparse.SUPPRESS)
    parser.add_argument("--directory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        serve = serve_worker if options.role == "worker" else serve_agent
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(options.directory))
    with tempfile.TemporaryDirectory() as name:
        run(Path(name), options)


def run(directory: Path, options: argparse.Namespace) -> None:
    worker_port, gateway_port = free_port(), free_port()
    (directory / "worker.port").write_text(str(worker_port))
    write_config(directory)
    environ = {
        **os.environ,
        "ESB_CONFIG_DIR": str(directory),
        "ESB_AGENT_ADDRESS": f"unix:{directory}/agent.sock",
        "ESB_GATEWAY_PORT": str(gateway_port),
        "ESB_GATEWAY_ACCESS_LOG": options.access_log,
    }
    processes = []
    with (directory / "gateway.log").open("wb") as log:
        try:
            for role in ("worker", "agent"):
                command = [sys.executable, __file__, "--role", role, "--directory", str(directory)]
                processes.append(subprocess.Popen(command))
                wait_for((directory / f"{role}.ready").exists, f"stub {role}")
            processes.append(subprocess.Popen([sys.executable, "-m", "esb_gateway"], env=environ, stderr=log))
            wait_for(lambda: warm(gateway_port), "gateway")
            results = measure((worker_port, gateway_port), options.seconds, options.rounds)
        finally:
            for process in reversed(processes):
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(10)
    if options.json:
        print(json.dumps([{"target": name, "connections": n, "rounds": r} for (name, n), r in results.items()]))
    else:
        report(results)


if __name__ == "__main__":
    main()
