"""The whole box in mode process: signed Invokes of a real Python function through gateway and agent.

    python benchmarks/bench_box.py [--seconds 5] [--functions 30]

Warm: four workers, one and four connections, with the processor time (user and system) that each part spends
on a call. Cold: the first answer of functions that never ran, one after another. Idle: resident (RSS) and
proportional (PSS) memory before the first call. Load and services share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import uvloop
from bench_agent import REF, keeper_of, write_layout
from bench_gateway import free_port, load, signed, wait_for

WORKERS = 4
KEY = ("ESBBENCHMARK", "of-no-use-elsewhere")
INVOKE = "/2015-03-31/functions/{}/invocations"


def write_config(directory: Path, functions: int) -> None:
    directory.mkdir()
    scaling = f"{{min_capacity: {WORKERS}, max_capacity: {WORKERS}}}"
    lines = ["functions:", f"  hello: {{image: {REF}, scaling: {scaling}}}"]
    lines += [f"  cold{number}: {{image: {REF}}}" for number in range(functions)]
    (directory / "functions.yml").write_text("\n".join(lines) + "\n")
    (directory / "routing.yml").write_text("routes: []\n")


@contextlib.contextmanager
def box(root: Path, functions: int) -> Iterator[tuple[int, dict[str, int]]]:
    """A running agent and gateway: the port, and the processes of each part."""
    write_layout(root / "layout")
    write_config(root / "config", functions)
    port, address = free_port(), f"unix:{root}/agent.sock"
    agent_env = {
        "ESB_AGENT_ADDRESS": address,
        "ESB_AGENT_STATE_DIR": f"{root}/agent",
        "ESB_IMAGE_LAYOUT": f"{root}/layout",
    }
    gateway_env = {
        "ESB_AGENT_ADDRESS": address,
        "ESB_CONFIG_DIR": f"{root}/config",
        "ESB_GATEWAY_STATE_DIR": f"{root}/gateway",
        "ESB_GATEWAY_PORT": str(port),
        "AWS_ACCESS_KEY_ID": KEY[0],
        "AWS_SECRET_ACCESS_KEY": KEY[1],
    }
    running: list[subprocess.Popen[bytes]] = []
    with (root / "box.log").open("wb") as log:
        try:
            for module, env in (("esb_agent", agent_env), ("esb_gateway", gateway_env)):
                environ = {"PATH": os.environ["PATH"], **env}
                running.append(subprocess.Popen([sys.executable, "-m", module], env=environ, stderr=log))
            wait_for(partial(warm, port), "the box")
            agent, gateway = running[0].pid, running[1].pid
            yield port, {"gateway": gateway, "agent": agent, "keeper": keeper_of(agent)}
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(20)


def warm(port: int, workers: int = WORKERS) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            return f'function="hello",state="idle"}} {workers}.0' in answer.read().decode()
    except OSError:
        return False


def memory_mb(pid: int) -> tuple[float, float]:
    """RSS and PSS of a process."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    )
    rss, pss = (float(fields[name].split()[0]) / 1024 for name in ("Rss", "Pss"))
    return rss, pss


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of these processes so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def measure(port: int, pids: dict[str, int], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    figures = {
        f"idle, {name}": dict(zip(("rss_mb", "pss_mb"), memory_mb(pids[name]), strict=True)) for name in pids
    }
    figures["idle, together"] = {
        unit: sum(one[unit] for one in figures.values()) for unit in ("rss_mb", "pss_mb")
    }
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        first = [
            runner.run(load(port, signed(INVOKE.format(f"cold{number}"), KEY), 1, 0))["p50"]
            for number in range(options.functions)
        ]
        figures["cold, first answer"] = {"p50": statistics.median(first), "max": max(first)}
        for connections in (1, WORKERS):
            requests = signed(INVOKE.format("hello"), KEY)
            runner.run(load(port, requests, connections, 0.5))
            parts = {
                "gateway": [pids["gateway"]],
                "agent": [pids["agent"]],
                "workers": children(pids["keeper"]),
            }
            before = {name: cpu_seconds(processes) for name, processes in parts.items()}
            warm = runner.run(load(port, requests, connections, options.seconds))
            calls = warm["rps"] * options.seconds
            cpu = {
                f"cpu us {name}": (cpu_seconds(parts[name]) - before[name]) / calls * 1e6 for name in parts
            }
            figures[f"warm, {connections} at a time"] = warm | cpu
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5, help="of each warm measurement")
    parser.add_argument("--functions", type=int, default=30, help="started cold")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="esb-bench-") as name,
        box(Path(name), options.functions) as parts,
    ):
        figures = measure(*parts, options)
    if options.json:
        print(json.dumps(figures))
        return 0
    for title, values in figures.items():
        print(f"{title:20}" + "".join(f"  {key} {value:,.2f}" for key, value in values.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
