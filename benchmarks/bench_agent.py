"""The agent alone, mode process: what a call costs on a warm worker, how long a cold one takes to answer.

python benchmarks/bench_agent.py [--seconds 5] [--starts 30] [--json]
"""

import argparse
import asyncio
import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import cast

import grpc.aio
import uvloop
from esb_agent_api import agent_pb2, agent_pb2_grpc

REF = "bench-dev-hello:1"
CODE = b"def handler(event, context):\n    return {'hello': event.get('name')}\n"
EVENT = b'{"name": "bench"}'
HEAD = (
    b"POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nHost: worker\r\n"
    b"X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793\r\n"
)
END = b"Content-Length: %d\r\n\r\n" % len(EVENT) + EVENT
REQUEST, TAIL_REQUEST = HEAD + END, HEAD + b"X-Esb-Log-Type: Tail\r\n" + END


def write_layout(path: Path) -> None:
    """One image of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("var/task/app.py")
        info.size = len(CODE)
        archive.addfile(info, io.BytesIO(CODE))
    blobs = path / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": "application/octet-stream", "digest": f"sha256:{digest}", "size": len(data)}

    config = blob(json.dumps({"config": {"Cmd": ["app.handler"], "WorkingDir": "/var/task"}}).encode())
    manifest = blob(json.dumps({"config": config, "layers": [blob(buffer.getvalue())]}).encode())
    entry = {**manifest, "annotations": {"org.opencontainers.image.ref.name": REF}}
    (path / "index.json").write_text(json.dumps({"manifests": [entry]}))


class Caller(asyncio.Protocol):
    """One keep-alive connection that calls again as soon as it has its answer."""

    def __init__(self, until: float, request: bytes) -> None:
        self.until = until
        self.request = request
        self.times: list[float] = []
        self.data = b""
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, separator, body = self.data.partition(b"\r\n\r\n")
        length = head.lower().find(b"content-length: ")
        if not separator or len(body) < int(head[length + 16 :].split(b"\r", 1)[0]):
            return
        if b"200 OK" not in head or b"bench" not in body:
            raise SystemExit(f"wrong answer: {self.data!r}")
        now = time.perf_counter()
        self.times.append(now - self.sent)
        self.data = b""
        if now < self.until:
            self.send()
        else:
            self.transport.close()
            self.done.set_result(None)


async def drive(addresses: list[str], seconds: float, request: bytes = REQUEST) -> dict[str, float]:
    """Call all workers, one call in flight each, for that long."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    callers = []
    for address in addresses:
        _, caller = await loop.create_unix_connection(
            lambda: Caller(started + seconds, request), address.removeprefix("unix:")
        )
        callers.append(caller)
    await asyncio.gather(*(caller.done for caller in callers))
    elapsed = time.perf_counter() - started
    times = sorted(t for caller in callers for t in caller.times)
    return {
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[int(len(times) * 0.99)] * 1000,
        "rps": len(times) / elapsed,
    }


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024**2


def keeper_of(agent_pid: int) -> int:
    return int(Path(f"/proc/{agent_pid}/task/{agent_pid}/children").read_text().split()[0])


def measure(start: str, seconds: float, starts: int) -> dict[str, dict[str, float]]:
    """A fresh agent that starts its workers this way."""
    with tempfile.TemporaryDirectory(prefix="esb-bench-") as directory:
        root = Path(directory)
        write_layout(root / "layout")
        address = f"unix:{root}/agent.sock"
        environment = {
            "PATH": os.environ["PATH"],
            "ESB_AGENT_ADDRESS": address,
            "ESB_AGENT_STATE_DIR": f"{root}/state",
            "ESB_IMAGE_LAYOUT": f"{root}/layout",
            "ESB_PROCESS_START": start,
        }
        log = root / "agent.log"
        with log.open("wb") as stderr:
            agent = subprocess.Popen([sys.executable, "-m", "esb_agent"], env=environment, stderr=stderr)
        try:
            while b"agent ready" not in log.read_bytes() and agent.poll() is None:
                time.sleep(0.02)
            idle = {"agent_mb": resident_mb(agent.pid), "keeper_mb": resident_mb(keeper_of(agent.pid))}
            return {"idle": idle, **uvloop.run(run(address, seconds, starts))}
        finally:
            agent.terminate()
            agent.wait()


async def run(address: str, seconds: float, starts: int) -> dict[str, dict[str, float]]:
    async with grpc.aio.insecure_channel(address) as channel:
        return await use(agent_pb2_grpc.AgentStub(channel), seconds, starts)


async def use(stub: agent_pb2_grpc.AgentStub, seconds: float, starts: int) -> dict[str, dict[str, float]]:
    async def ensure(name: str) -> agent_pb2.Worker:
        spec = agent_pb2.FunctionSpec(name="hello", image=REF, timeout_ms=3000, memory_mb=128)
        request = agent_pb2.EnsureWorkerRequest(owner_id="bench", worker_id=name, spec=spec)
        return (await stub.EnsureWorker(request)).worker

    figures = {}
    await ensure("unpack")
    ready, first = [], []
    for i in range(starts):
        begun = time.perf_counter()
        worker = await ensure(f"cold-{i}")
        ready.append(time.perf_counter() - begun)
        await drive([worker.address], 0)
        first.append(time.perf_counter() - begun)
        await stub.DestroyWorker(agent_pb2.DestroyWorkerRequest(owner_id="bench", worker_id=f"cold-{i}"))
    figures["cold"] = {
        "ready_p50_ms": statistics.median(ready) * 1000,
        "first_answer_p50_ms": statistics.median(first) * 1000,
        "first_answer_max_ms": max(first) * 1000,
    }
    begun = time.perf_counter()
    await asyncio.gather(*(ensure(f"burst-{i}") for i in range(20)))
    figures["burst of 20"] = {"all_ready_ms": (time.perf_counter() - begun) * 1000}
    workers = [await ensure(f"warm-{i}") for i in range(4)]
    for count in (1, 4):
        addresses = [worker.address for worker in workers[:count]]
        await drive(addresses, 0.3)
        figures[f"warm, {count} worker{'s' * (count > 1)}"] = await drive(addresses, seconds)
    addresses = [worker.address for worker in workers]
    figures["warm, 4, tails"] = await drive(addresses, seconds, TAIL_REQUEST)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--starts", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {start: measure(start, options.seconds, options.starts) for start in ("fork", "exec")}
    if options.json:
        print(json.dumps(results))
        return 0
    for start, figures in results.items():
        for name, values in figures.items():
            print(f"{start:5} {name:16} " + "  ".join(f"{key} {value:,.2f}" for key, value in values.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
