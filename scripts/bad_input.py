"""Wrong inputs, run as a user would: the messages and exit codes that docs/bad-input.md shows.

Every case starts from the same small, valid project, artifact, image layout and applied box; `spoil` breaks
exactly one thing, then `command` runs in that directory. Only relative paths occur, so messages are the same
everywhere.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from bad_input_cases import APPLY, CASES, GENERATE, PREPARE, TEMPLATE, Case

__all__ = ["CASES", "Case", "make_base", "message", "page", "run_case", "state"]

BIN = Path(sys.executable).parent
ASSIGNMENT = re.compile(r"[A-Z_]+=")


@dataclass(frozen=True)
class Outcome:
    """What the command did."""

    code: int
    stderr: str
    stdout: str


def make_base(here: Path) -> None:
    """Make the valid state every case starts from, with the commands a user would type."""
    (here / "src").mkdir(parents=True)
    (here / "src" / "app.py").write_text('def handler(event, context):\n    return "hello"\n')
    (here / "template.yaml").write_text(TEMPLATE)
    (here / "esb.toml").write_text(
        '[project]\nname = "demo"\n\n[defaults]\nenv = "dev"\nmode = "process"\ntemplate = "template.yaml"\n'
    )
    for command in (GENERATE, PREPARE, APPLY):
        done = execute(command, here)
        if done.code != 0:
            raise RuntimeError(f"{command}: {done.code}\n{done.stderr}")


def execute(command: str, here: Path, extra: dict[str, str] | None = None) -> Outcome:
    """Run a command, settings in front of it, with our tools and none of the caller's settings."""
    words = command.split()
    given = dict(word.split("=", 1) for word in takewhile(ASSIGNMENT.match, words))
    program, *arguments = words[len(given) :]
    done = subprocess.run(
        [BIN / program, *arguments],
        cwd=here,
        env=settings() | given | (extra or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stderr.replace(str(here), "…"), done.stdout.replace(str(here), "…"))


def settings() -> dict[str, str]:
    """Return the environment of every command; the agent's driver in it is the wrong one on purpose."""
    environ = {name: os.environ[name] for name in ("HOME", "UV_CACHE_DIR") if name in os.environ}
    environ |= {"PATH": f"{BIN}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "COLUMNS": "200", "NO_COLOR": "1"}
    environ |= {
        "ESB_AGENT_DRIVER": "steam",
        "ESB_AGENT_ADDRESS": "unix:agent.sock",
        "ESB_AGENT_STATE_DIR": "state",
    }
    environ |= {"ESB_GATEWAY_STATE_DIR": "gateway", "ESB_GATEWAY_SIGV4": "off"}
    return environ | {"ESB_CONFIG_DIR": "config", "ESB_OWNER_ID": "demo"}


@contextmanager
def held_port(wanted: bool) -> Iterator[int]:
    """Hold a free loopback port when wanted."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = int(server.getsockname()[1])
        if wanted:
            server.listen()
        else:
            server.close()
        yield port


def run_case(case: Case, base: Path, here: Path) -> Outcome:
    """Copy the base, spoil one thing, run the command."""
    shutil.copytree(base, here, symlinks=True)
    case.spoil(here)
    with held_port(case.port is not None) as port:
        if case.group == "Requests":
            with gateway(here, port):
                return request(case.command, port)
        done = execute(case.command.replace("{port}", str(port)), here, {"ESB_GATEWAY_PORT": str(port)})
    return Outcome(done.code, done.stderr.replace(str(port), "{port}"), done.stdout)


@contextmanager
def gateway(here: Path, port: int) -> Iterator[None]:
    """Run a gateway on the applied config; nobody listens where its agent should be."""
    environ = {**settings(), "ESB_GATEWAY_PORT": str(port)}
    command = [str(BIN / "python"), "-m", "esb_gateway"]
    with (here / "gateway.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=here, env=environ, stdout=log, stderr=log)
    try:
        wait_until_listening(process, port)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    """Return when the port takes connections."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the gateway did not start")


def request(command: str, port: int) -> Outcome:
    """Send `METHOD PATH [BODY]`; the answer's body stands for the message."""
    method, path, *body = command.split(" ", 2)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body=body[0] if body else None)
        answer = connection.getresponse()
        return Outcome(answer.status, answer.read().decode(), "")
    finally:
        connection.close()


def message(outcome: Outcome) -> str:
    """Return what the user reads, without terminal decoration and what differs from run to run."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", outcome.stderr).strip()
    return re.sub(
        r"\b[0-9a-f]{64}\b", "<sha256>", re.sub(r"(hello:|python3\.11-)[0-9a-f]{12}\b", r"\1<tag>", text)
    )


def page(results: list[tuple[Case, Outcome]]) -> str:
    """Return docs/bad-input.md."""
    lines = [
        "# What wrong input looks like",
        "",
        "Generated by `make docs` from commands that were run; a test runs them all again and compares."
        " Exit codes:",
        "2 usage, 3 the artifact or its source was rejected, 4 the world failed; for requests, the HTTP"
        " status.",
    ]
    group = ""
    for case, outcome in results:
        if case.group != group:
            group = case.group
            lines += [
                "",
                f"## {group}",
                "",
                "| wrong input | command | exit | message |",
                "|---|---|---|---|",
            ]
        text = "<br>".join(cell(line) for line in message(outcome).splitlines())
        lines.append(f"| {case.what} | `{case.command}` | {outcome.code} | {text} |")
    return "\n".join(lines) + "\n"


def cell(line: str) -> str:
    """Return a line of output as code in a table cell."""
    return f"`{line.replace('|', '¦').replace('`', chr(39))}`" if line.strip() else ""


def state(config: Path) -> str:
    """Return everything CONFIG_DIR holds, as one text that can be compared."""
    found = {}
    for path in sorted(config.rglob("*")):
        if not path.name.startswith(".lock"):
            found[str(path.relative_to(config))] = (
                str(path.readlink()) if path.is_symlink() else path.is_file() and path.read_text()
            )
    return json.dumps(found)
