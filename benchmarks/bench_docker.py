"""Mode docker beside a bare container of the same image: cold and warm, in one run.

    python benchmarks/bench_docker.py [--functions 12] [--seconds 4] [--rounds 3] [--base IMAGE]

Cold, to the first answer of a small Python function that never ran: a signed Invoke at the gateway; create,
start and first call over the Engine API by hand (the floor); `docker run -d` and a first call. One of each in
turn, so that what else the machine does falls on all. Warm, one connection: the same function through the
gateway, and a bare emulator called without it. All containers have the same memory and CPU limits.
Needs a Docker Engine and an image like Lambda's base; says so and measures nothing without.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from bench_box import INVOKE, KEY, memory_mb, warm
from bench_gateway import free_port, http_request, load, signed, wait_for

BASE = "127.0.0.1:5010/lambda-python:3.12"
SOCKET = "/var/run/docker.sock"
BARE = "/2015-03-31/functions/function/invocations"
MEMORY_MB, CPUS = 1769, 1.0
LIMITS = ["--memory", f"{MEMORY_MB}m", "--memory-swap", f"{MEMORY_MB}m"]


class EngineConnection(http.client.HTTPConnection):
    """The engine's socket, spoken to by hand."""

    def __init__(self) -> None:
        super().__init__("docker", timeout=60)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Content-Type": "application/json"}
        self.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = self.getresponse()
        text = response.read()
        if response.status >= 400:
            raise SystemExit(f"{method} {path}: {response.status} {text.decode()}")
        return json.loads(text) if text else None


def docker(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(["docker", *words], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"docker {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


def why_not(base: str) -> str:
    """Why nothing can be measured; "" when it can."""
    probe = ["docker", "image", "inspect", base]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"no docker: {error}"
    return done.stderr.strip()


@contextlib.contextmanager
def image(base: str, root: Path) -> Iterator[str]:
    ref = f"esb-bench-hello:{secrets.token_hex(4)}"
    (root / "image").mkdir()
    (root / "image" / "app.py").write_text("def handler(event, context):\n    return {'ok': True}\n")
    (root / "image" / "Dockerfile").write_text(f'FROM {base}\nCOPY app.py /var/task/\nCMD ["app.handler"]\n')
    docker("build", "--quiet", "--tag", ref, str(root / "image"))
    try:
        yield ref
    finally:
        docker("rmi", "--force", ref)


def write_config(directory: Path, ref: str, functions: int) -> None:
    directory.mkdir()
    one = f"image: {ref}, memory_size: {MEMORY_MB}"
    lines = ["functions:", f"  hello: {{{one}, scaling: {{min_capacity: 1, max_capacity: 1}}}}"]
    lines += [f"  cold{number}: {{{one}}}" for number in range(functions)]
    (directory / "functions.yml").write_text("\n".join(lines) + "\n")
    (directory / "routing.yml").write_text("routes: []\n")


@contextlib.contextmanager
def box(root: Path, ref: str, functions: int) -> Iterator[tuple[int, dict[str, int], str]]:
    """Agent and gateway: the gateway's port, their process ids, and the network of their containers."""
    write_config(root / "config", ref, functions)
    environment = f"bench{secrets.token_hex(4)}"
    network = f"esb-{environment}"
    port, address = free_port(), f"unix:{root}/agent.sock"
    agent = {
        "ESB_AGENT_ADDRESS": address,
        "ESB_AGENT_STATE_DIR": f"{root}/agent",
        "ESB_AGENT_DRIVER": "docker",
        "ESB_ENV": environment,
        "ESB_DOCKER_NETWORK": network,
        "ESB_IMAGE_PULL": "never",
    }
    gateway = {
        "ESB_AGENT_ADDRESS": address,
        "ESB_CONFIG_DIR": f"{root}/config",
        "ESB_GATEWAY_STATE_DIR": f"{root}/gateway",
        "ESB_GATEWAY_PORT": str(port),
        "ESB_GATEWAY_MAX_WORKERS": "1",
        "ESB_GATEWAY_STOP_WORKERS": "end",
        "AWS_ACCESS_KEY_ID": KEY[0],
        "AWS_SECRET_ACCESS_KEY": KEY[1],
    }
    running: list[subprocess.Popen[bytes]] = []
    with (root / "box.log").open("wb") as log:
        try:
            for module, env in (("esb_agent", agent), ("esb_gateway", gateway)):
                environ = {"PATH": os.environ["PATH"], **env}
                running.append(subprocess.Popen([sys.executable, "-m", module], env=environ, stderr=log))
            wait_for(partial(warm, port, 1), "the box")
            yield port, {"agent": running[0].pid, "gateway": running[1].pid}, network
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(60)
            left = docker("ps", "-aq", "--filter", f"label=io.esb.env={environment}").split()
            if left:
                docker("rm", "--force", *left)
            docker("network", "rm", network)


def first_answer(address: str) -> None:
    """Call as soon as somebody listens."""
    while True:
        connection = http.client.HTTPConnection(address, 8080, timeout=30)
        try:
            connection.request("POST", BARE, b"{}")
            answer = connection.getresponse()
            answer.read()
        except ConnectionRefusedError:
            time.sleep(0.002)
            continue
        finally:
            connection.close()
        if answer.status != 200:
            raise SystemExit(f"the bare emulator answered {answer.status}")
        return


def create(engine: EngineConnection, ref: str, network: str, cpus: float) -> tuple[str, str]:
    """A container by the engine's own calls: its id and address."""
    host = {"Memory": MEMORY_MB * 2**20, "MemorySwap": MEMORY_MB * 2**20, "NetworkMode": network}
    host |= {"NanoCpus": int(cpus * 1e9)} if cpus else {}
    made = engine.ask("POST", "/containers/create", {"Image": ref, "HostConfig": host})["Id"]
    engine.ask("POST", f"/containers/{made}/start")
    found = engine.ask("GET", f"/containers/{made}/json")
    return made, found["NetworkSettings"]["Networks"][network]["IPAddress"]


def remove(engine: EngineConnection, container: str) -> None:
    engine.ask("DELETE", f"/containers/{container}?force=1")


def cold_by_hand(engine: EngineConnection, ref: str, network: str) -> float:
    began = time.perf_counter()
    container, address = create(engine, ref, network, 0)
    first_answer(address)
    taken = time.perf_counter() - began
    remove(engine, container)
    return taken * 1000


def cold_docker_run(engine: EngineConnection, ref: str, network: str) -> float:
    began = time.perf_counter()
    container = docker("run", "--detach", "--network", network, *LIMITS, ref)
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    first_answer(docker("inspect", "--format", form, container))
    taken = time.perf_counter() - began
    remove(engine, container)
    return taken * 1000


def measure_cold(
    runner: asyncio.Runner, port: int, ref: str, network: str, functions: int
) -> dict[str, list[float]]:
    engine = EngineConnection()
    times: dict[str, list[float]] = {"gateway": [], "create+start+call": [], "docker run": []}
    for number in range(functions):
        call = load(port, signed(INVOKE.format(f"cold{number}"), KEY), 1, 0)
        times["gateway"].append(runner.run(call)["p50"])
        times["create+start+call"].append(cold_by_hand(engine, ref, network))
        times["docker run"].append(cold_docker_run(engine, ref, network))
    engine.close()
    return times


def measure_warm(
    runner: asyncio.Runner, port: int, ref: str, network: str, options: argparse.Namespace
) -> dict[str, list[dict[str, float]]]:
    engine = EngineConnection()
    container, address = create(engine, ref, network, CPUS)
    try:
        first_answer(address)
        gateway = partial(load, port, signed(INVOKE.format("hello"), KEY), 1)
        bare = partial(load, 8080, [http_request(BARE)], 1, host=address)
        for aim in (gateway, bare):
            runner.run(aim(seconds=1.0))
        rounds = [
            {
                name: runner.run(aim(seconds=options.seconds))
                for name, aim in (("gateway", gateway), ("bare emulator", bare))
            }
            for _ in range(options.rounds)
        ]
    finally:
        remove(engine, container)
        engine.close()
    return {name: [one[name] for one in rounds] for name in rounds[0]}


def report(cold: dict[str, list[float]], warm_figures: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    floor = statistics.median(cold["create+start+call"])
    print("cold, ms to the first answer" + " " * 6 + "median     min     max   of create+start+call")
    for name, times in cold.items():
        median = statistics.median(times)
        print(f"  {name:30}{median:8.0f}{min(times):8.0f}{max(times):8.0f}   {median / floor:.2f} x")
    print("warm, one connection                p50 ms  p99 ms   req/s")
    medians = {
        name: {figure: statistics.median(one[figure] for one in rounds) for figure in rounds[0]}
        for name, rounds in warm_figures.items()
    }
    for name, figures in medians.items():
        print(f"  {name:30}{figures['p50']:10.3f}{figures['p99']:8.3f}{figures['rps']:8.0f}")
    added = medians["gateway"]["p50"] - medians["bare emulator"]["p50"]
    print(f"  the gateway adds {added:.3f} ms at p50")
    return {"cold_ratio": statistics.median(cold["gateway"]) / floor, "warm_added_ms": added}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--functions", type=int, default=12, help="started cold, of each kind")
    parser.add_argument("--seconds", type=float, default=4, help="of each warm measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--base", default=BASE, help="image with the emulator and a Python runtime")
    parser.add_argument("--json", action="store_true", help="also print the two ratios as JSON")
    options = parser.parse_args()
    if reason := why_not(options.base):
        print(f"not measured: {reason}")
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="esb-bench-") as name,
        image(options.base, Path(name)) as ref,
        box(Path(name), ref, options.functions) as (port, pids, network),
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        idle = {part: memory_mb(pid)[0] for part, pid in pids.items()}
        cold = measure_cold(runner, port, ref, network, options.functions)
        warm_figures = measure_warm(runner, port, ref, network, options)
    ratios = report(cold, warm_figures)
    print("idle, MB resident: " + ", ".join(f"{part} {size:.0f}" for part, size in idle.items()))
    if options.json:
        print(json.dumps(ratios))
    return 0


if __name__ == "__main__":
    sys.exit(main())
