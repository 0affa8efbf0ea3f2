"""The box as its operator has it: what runs, what it logs, services restarted; for each way to run one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import attrs
from ruamel.yaml import YAML

from scenario.client import Client, until


class Engine(Protocol):
    """What only the way of running the box knows."""

    def workers(self) -> list[str]:
        """The ids of the workers that live, as the engine has them."""

    def signal(self, service: str, number: signal.Signals) -> None:
        """Send a signal to `gateway` or `agent` and wait until another one of it is there."""

    def end_worker(self, worker: str) -> None:
        """End a worker without telling anybody."""

    def log(self, function: str) -> str:
        """What workers of a function have logged."""


@attrs.frozen
class Box:
    """The box under test, by what the runner told."""

    facts: Mapping[str, str]
    engine: Engine

    @property
    def url(self) -> str:
        """Where the gateway is."""
        return self.facts["URL"]

    def credentials(self) -> dict[str, Any]:
        """The credentials file of the box."""
        found: dict[str, Any] = YAML(typ="safe", pure=True).load(Path(self.facts["CREDENTIALS"]).read_text())
        return found

    def view(self, name: str) -> Any:
        """One of the gateway's own views."""
        key = self.credentials()["admin_keys"][0]["value"]
        answer = Client(self.url).get(f"/metrics/{name}", {"x-api-key": key})
        assert answer.status == 200, answer
        return answer.json()

    def pool(self, function: str) -> dict[str, Any]:
        """What the gateway says of a function's workers."""
        pools = [pool for pool in self.view("pools")["pools"] if pool["function"] == function]
        assert len(pools) == 1, pools
        return dict(pools[0])

    def alive(self, function: str) -> int:
        """How many workers a function has, as the gateway sees it."""
        return sum(self.pool(function)["workers"].values())

    def workers(self, function: str = "") -> list[str]:
        """The ids of workers, of a function or of all, as the gateway sees them."""
        return sorted(
            worker["worker_id"]
            for worker in self.view("containers")["containers"]
            if function in ("", worker["function"])
        )

    def well(self) -> bool:
        """Whether the gateway answers and has its agent."""
        try:
            return Client(self.url).get("/health").status == 200
        except OSError:
            return False

    def restart(self, service: str, number: signal.Signals) -> None:
        """End a service; return when its next life serves."""
        self.engine.signal(service, number)
        until(self.well, f"the box is well again after {number.name} to its {service}", 60)


def connect(facts: Mapping[str, str]) -> Box:
    """Make the box of what the runner told."""
    return Box(facts, ENGINES[facts["KIND"]](facts))


class ProcessEngine:
    """Of `esb-node`: a supervisor that starts again what ends."""

    def __init__(self, facts: Mapping[str, str]) -> None:
        self._state = Path(facts["STATE"])

    def workers(self) -> list[str]:
        """The agent keeps a directory for each, with the process in it."""
        return sorted(worker for worker, pid in self._processes().items() if Path(f"/proc/{pid}").exists())

    def signal(self, service: str, number: signal.Signals) -> None:
        """The supervisor starts the next one by itself."""
        before = self._services()[service]
        os.kill(before, number)
        until(lambda: self._services().get(service) not in {None, before}, f"another {service}")

    def end_worker(self, worker: str) -> None:
        """SIGKILL to its process."""
        os.kill(self._processes()[worker], signal.SIGKILL)

    def log(self, function: str) -> str:
        """What `esb-node logs` shows."""
        command = [str(Path(sys.prefix) / "bin" / "esb-node"), "logs", "--state", str(self._state)]
        words = [*command, "--function", function, "--lines", "200"]
        return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60).stdout

    def _services(self) -> dict[str, int]:
        status = YAML(typ="safe", pure=True).load((self._state / "box.json").read_text())
        return {service["name"]: service["pid"] for service in status["services"] if service["pid"]}

    def _processes(self) -> dict[str, int]:
        found = {}
        for record in (self._state / "agent" / "workers").glob("*/process.json"):
            with suppress(OSError, ValueError):  # a worker that just ends
                found[record.parent.name.partition(".")[0]] = json.loads(record.read_text())["pid"]
        return found


class ContainerdEngine(ProcessEngine):
    """Of `esb-node` in containerd mode: services are its processes, workers are tasks of its containerd."""

    def __init__(self, facts: Mapping[str, str]) -> None:
        super().__init__(facts)
        self._address = facts["CONTAINERD"]

    def _processes(self) -> dict[str, int]:
        """Each worker's first process; only this box has anything in this containerd."""
        found = {}
        for namespace in self._ctr("namespaces", "ls", "--quiet").split():
            for line in self._ctr("--namespace", namespace, "tasks", "ls").splitlines()[1:]:
                name, pid, state = line.split()
                said = self._ctr("--namespace", namespace, "containers", "info", name, check=False)
                if said and state in ("RUNNING", "PAUSED"):
                    found[json.loads(said)["Labels"]["io.esb.worker"]] = int(pid)
        return found

    def _ctr(self, *words: str, check: bool = True) -> str:
        return _command("ctr", "--address", self._address, *words, check=check)


class DockerEngine:
    """Of the compose file: the engine starts again what ends; workers are containers of the brand."""

    def __init__(self, facts: Mapping[str, str]) -> None:
        self._mark = facts["MARK"]

    def workers(self) -> list[str]:
        """The brand's containers that live."""
        return sorted(self._containers())

    def signal(self, service: str, number: signal.Signals) -> None:
        """To the process, not with `docker kill`, after which the engine would not start it again."""
        name = f"{self._mark}-{service}-1"
        before = self._pid(name)
        os.kill(before, number)
        until(lambda: self._pid(name) not in {0, before}, f"another {service}")

    def end_worker(self, worker: str) -> None:
        """SIGKILL to the container's first process."""
        os.kill(self._pid(self._containers()[worker]), signal.SIGKILL)

    def log(self, function: str) -> str:
        """The agent keeps a file for each function; a line of it is JSON, with what was printed in it."""
        path = f"/var/lib/esb/agent/logs/{function}.log"
        lines = _docker("exec", f"{self._mark}-agent-1", "cat", path, check=False).splitlines()
        return "\n".join(str(json.loads(line)["line"]) for line in lines)

    def _containers(self) -> dict[str, str]:
        words = ("ps", "--filter", f"label=io.esb.brand={self._mark}")
        lines = _docker(*words, "--format", '{{.Label "io.esb.worker"}} {{.Names}}').splitlines()
        return dict(line.split() for line in lines)

    def _pid(self, name: str) -> int:
        return int(_docker("inspect", "--format", "{{.State.Pid}}", name))


def _docker(*words: str, check: bool = True) -> str:
    return _command("docker", *words, check=check)


def _command(*words: str, check: bool) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or not check, (words, done.stderr)
    return done.stdout


ENGINES: dict[str, Callable[[Mapping[str, str]], Engine]] = {
    "process": ProcessEngine,
    "docker": DockerEngine,
    "containerd": ContainerdEngine,
}
