"""A real box of containerd mode, with a registry of its own that can be taken away from it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from attrs import frozen

from faults.real_box import RealBox, children
from faults.remains import Box, addresses, marked_processes, mounts
from faults.stored import stored_remains

BASE = "127.0.0.1:5010/lambda-python:3.12"
_FROM = "public.ecr.aws/lambda/python:3.12"
_SECONDS = 30.0
_NUMBERS = count()


@frozen
class Parts:
    """How many of each part workers are made of."""

    workers: int
    namespaces: int
    addresses: int
    snapshots: int
    mounts: int


class ContainerdBox(RealBox):
    """A box below `place`; `pool` network namespaces are kept ready beside those of workers.

    Workers may reach the host's `open_ports`, at the bridge's address.
    """

    def __init__(
        self,
        place: Path,
        registry: str,
        environ: Mapping[str, str],
        *,
        pool: int = 2,
        open_ports: Sequence[int] = (),
    ) -> None:
        number = next(_NUMBERS)
        self._open = tuple(f"--open-port={port}" for port in open_ports)
        self.slug = f"faults{os.getpid()}-{number}"
        self.pool, self.registry = pool, registry
        registries = dict.fromkeys(("CONTAINER_REGISTRY", "HOST_REGISTRY_ADDR"), registry)
        own = {
            "ESB_BRAND_SLUG": self.slug,
            "ESB_ENV": "gate",
            "ESB_CNI_SUBNET": f"10.204.{16 * (number % 16)}.0/20",
            "ESB_NETNS_POOL": str(pool),
        }
        super().__init__(place, {**registries, **own, **environ})

    def up(self) -> str:
        """Start the box; what the command printed."""
        return self.command(
            *("esb-node", "up", "--mode", "containerd", "--state", self.state, "--detach", *self._open)
        ).stdout

    def prepare(self) -> None:
        """An artifact in this mode, its images in the registry."""
        self.command("esb", "artifact", "generate", "--mode", "containerd", "--output", self.artifact)
        self.command(
            *("artifactctl", "prepare-images", "--artifact", self.artifact / "artifact.yml"),
            *("--target", "registry", "--image-override", f"{_FROM}={BASE}"),
        )

    def layout(self) -> dict[str, str]:
        """What the box's parts are called on this host."""
        found: dict[str, str] = json.loads((self.state / "node.json").read_text())
        return found

    def names(self) -> Box:
        """The same, for who looks for what is left."""
        layout = self.layout()
        return Box(layout["slug"], layout["bridge"], (self.state, Path(layout["run"])))

    def ctr(self, *words: str) -> str:
        """Ask the box's containerd."""
        settings = (Path(self.layout()["run"]) / "node.env").read_text().splitlines()
        address = dict(line.split("=", 1) for line in settings if "=" in line)["ESB_CONTAINERD_ADDRESS"]
        command = ("ctr", "--connect-timeout", "5s", "--address", address, *words)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    def tasks(self) -> dict[str, int]:
        """The first process of each worker, by the name of its container."""
        found = {}
        for namespace in self.ctr("namespaces", "ls", "--quiet").split():
            for line in self.ctr("--namespace", namespace, "tasks", "ls").splitlines()[1:]:
                name, pid, state = line.split()
                if state != "STOPPED":
                    found[name] = int(pid)
        return found

    def workers(self) -> list[int]:
        """The first processes of workers."""
        return list(self.tasks().values())

    def shims(self) -> list[int]:
        """The processes between containerd and workers: those that lead one."""
        return [parent for pid in self.workers() if (parent := _parent(pid)) > 1]

    def parts(self) -> Parts:
        """Count what workers are made of, at this moment."""
        names = self.names()
        snapshots = [
            line
            for namespace in self.ctr("namespaces", "ls", "--quiet").split()
            for line in self.ctr("--namespace", namespace, "snapshots", "ls").splitlines()
            if line.split()[-1] == "Active"
        ]
        return Parts(
            workers=len(self.tasks()),
            namespaces=len(list(Path("/run/netns").glob(f"esb-{names.slug}-*"))),
            addresses=len({file.name for file in addresses(self.state)}),
            snapshots=len(snapshots),
            mounts=len([point for point in mounts(names.places) if point.endswith("/rootfs")]),
        )

    def balanced(self) -> bool:
        """Whether there is as much of each as the workers and the pool need."""
        try:
            found = self.parts()
        except (subprocess.SubprocessError, OSError):
            return False
        live, kept = found.workers, found.workers + self.pool
        return found == Parts(live, kept, kept, live, live)

    def everything(self) -> set[int]:
        """All processes of the box, those of functions included."""
        marked = {int(line.split()[1].rstrip(":")) for line in marked_processes(str(self.state))}
        todo, found = [*marked, *self.workers()], set[int]()
        while todo:
            pid = todo.pop()
            if pid not in found:
                found.add(pid)
                todo += children(pid)
        return found

    def cut_power(self) -> None:
        """End everything at once: none gets to do anything about it."""
        pids = self.everything()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        self.until(lambda: not marked_processes(str(self.state)), "everything is gone")

    def kept(self, names: Box) -> list[str]:
        """After `down`: what the host has of the box, and its containerd of workers."""
        return [*names.remains(), *stored_remains(self.state / "containerd")]


@contextmanager
def registry(place: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A registry on a free port of 127.0.0.1, until the end or until its process is ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = place / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f'storage: {{filesystem: {{rootdirectory: {place / "registry"}}}}}\nhttp: {{addr: "{address}"}}\n'
    )
    with (
        (place / "registry.log").open("wb") as log,
        subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log) as process,
    ):
        try:
            _wait(f"http://{address}/v2/")
            yield address, process
        finally:
            process.kill()


def _wait(url: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
