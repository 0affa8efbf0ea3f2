import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from esb_node.ports import choose

DRIVER = Path(__file__).with_name("stand_in_box.py")
HTTP = """
import http.server, os, signal, sys
{before}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(str(os.getpid()).encode())
    def log_message(self, *a): print("GET", flush=True)
print("hello from", os.getpid(), flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class FakeProcess:
    """A process that ends when the test says so, or when asked to."""

    def __init__(self, pid, stubborn=False):
        self.pid, self.stubborn, self.code, self.calls = pid, stubborn, None, []

    def exit(self):
        return self.code

    def terminate(self):
        self.calls.append("terminate")
        if not self.stubborn:
            self.code = -15

    def kill(self):
        self.calls.append("kill")
        if self.code is None:
            self.code = -9


class FakeLauncher:
    """A `Launcher` without processes: `ready` names the addresses that answer."""

    def __init__(self):
        self.started, self.ready, self.stubborn, self.refuse = [], set(), set(), None

    def start(self, spec):
        if self.refuse:
            raise self.refuse
        process = FakeProcess(1000 + len(self.started), spec.name in self.stubborn)
        self.started.append((spec.name, process))
        return process

    run = start

    def is_ready(self, probe):
        return probe.url in self.ready

    def liveness(self, probe, clock):
        return None


class FakeTime:
    """A clock that moves only when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def launcher():
    return FakeLauncher()


@pytest.fixture
def clock():
    return FakeTime()


class StandInBox:
    """A real supervisor with tiny services, in a process of its own."""

    def __init__(self, state):
        self.state, self.services, self.process = state, [], None

    def add(self, name, before="", argv=None):
        port = choose(None, None, option="a test")
        argv = argv or [sys.executable, "-c", HTTP.format(before=before), str(port)]
        self.services.append({"name": name, "argv": argv, "port": port})
        return self

    def up(self, *, detach=False, seconds=20, job=None):
        plan = json.dumps({"services": self.services, "job": job})
        mode = "detach" if detach else "foreground"
        self.process = subprocess.Popen(
            [sys.executable, str(DRIVER), str(self.state), mode, str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.process.stdin.write(plan)
        self.process.stdin.close()
        return self

    def read(self):
        try:
            return json.loads((self.state / "box.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def until(self, condition, seconds=20):
        """The state as soon as it meets the condition."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.read()
            if state and condition(state):
                return state
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s: {self.read()} {self.logs()}")

    def ready(self):
        return self.until(lambda state: state["state"] == "ready")

    def logs(self):
        return {path.name: path.read_text() for path in sorted((self.state / "logs").glob("*.log"))}

    def end(self, seconds=20):
        """Wait for the end of the command; its exit code and stderr."""
        stderr = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.process.wait(seconds), stderr


@pytest.fixture
def box(tmp_path):
    made = StandInBox(tmp_path / "box")
    made.state.mkdir()
    yield made
    if made.process and made.process.poll() is None:
        made.process.send_signal(signal.SIGTERM)
        made.end()
    elif made.process and not made.process.stderr.closed:
        made.end()


def is_alive(pid):
    """Whether the process runs: not gone and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def gone():
    """Waits until none of the processes is there any more."""

    def wait(pids, seconds=15):
        deadline = time.monotonic() + seconds
        while any(map(is_alive, pids)):
            assert time.monotonic() < deadline, [pid for pid in pids if is_alive(pid)]
            time.sleep(0.02)

    return wait


@pytest.fixture(autouse=True)
def nothing_inherited(monkeypatch):
    """No AWS setup of this host reaches a test."""
    for name in [
        name
        for name in os.environ
        if name.startswith(("AWS_", "ESB_", "CONTAINERD_")) and name != "ESB_REQUIRE_ENGINES"
    ]:
        monkeypatch.delenv(name)
