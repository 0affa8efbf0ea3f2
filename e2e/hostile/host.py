"""What the tests of hostile functions look at on the host, and put there for them to find."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MIB = 2**20
METADATA = "169.254.169.254"
OUTSIDE = "198.51.100.2"
_THIS_SIDE = "198.51.100.1"


class Peaks:
    """The most that a function's workers had at a time, as their control groups count it."""

    def __init__(self, slug: str, function: str) -> None:
        self._pattern = f"*{slug}*/*-{function}-*"
        self.processes = 0
        self.memory_mb = 0.0

    def look(self) -> None:
        """Count once; both versions of control groups."""
        self.processes = max(self.processes, *self._read("pids", "pids.current"), 0)
        memory = [*self._read("memory", "memory.usage_in_bytes"), *self._read("memory", "memory.current")]
        self.memory_mb = max(self.memory_mb, max(memory, default=0) / _MIB)

    def count(self) -> int:
        """How many processes and threads they have at this moment."""
        return sum(self._read("pids", "pids.current"))

    def limits(self) -> list[int]:
        """How many processes each of its workers may have."""
        return self._read("pids", "pids.max")

    def _read(self, controller: str, name: str) -> list[int]:
        """Of each worker; nothing of one that ends meanwhile."""
        found = []
        for path in {
            *_CGROUPS.glob(f"{controller}/{self._pattern}/{name}"),
            *_CGROUPS.glob(f"{self._pattern}/{name}"),
        }:
            with suppress(OSError, ValueError):
                found.append(int(path.read_text()))
        return found


@contextmanager
def repeated(what: Callable[[], None], pause: float) -> Iterator[None]:
    """Do something all the while, in the background."""
    stop = threading.Event()

    def go_on() -> None:
        while not stop.is_set():
            what()
            stop.wait(pause)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


@contextmanager
def listening(address: str = "0.0.0.0", kind: int = socket.SOCK_STREAM) -> Iterator[int]:
    """A port that takes connections; its number."""
    with socket.socket(socket.AF_INET, kind) as end:
        end.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            end.listen(64)
        yield end.getsockname()[1]


@contextmanager
def listening_abstract(name: str) -> Iterator[None]:
    """A socket without a file, as some engines have theirs."""
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(f"\0{name}")
        end.listen(8)
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(f"\0{name}")
        yield


def reached(address: str, port: int) -> bool:
    """Whether this host itself gets a connection."""
    with suppress(OSError), socket.create_connection((address, port), timeout=3):
        return True
    return False


def addresses() -> list[str]:
    """This host's own IPv4 addresses, of every interface."""
    return [
        line.split()[3].partition("/")[0]
        for line in _run("ip", "-4", "-oneline", "address", "show").splitlines()
    ]


@contextmanager
def neighbourhood(place: Path) -> Iterator[None]:
    """A machine behind this host with a usual address and that of a cloud's metadata; port 80 listens."""
    name, cable, far = f"cloud-{os.getpid()}", f"cl{os.getpid()}a", f"cl{os.getpid()}b"
    with ExitStack() as stack:
        _run("ip", "netns", "add", name)
        stack.callback(_run, "ip", "netns", "delete", name)
        _run("ip", "link", "add", cable, "type", "veth", "peer", "name", far, "netns", name)
        stack.callback(_run, "ip", "link", "delete", cable)
        _run("ip", "address", "add", f"{_THIS_SIDE}/30", "dev", cable)
        _run("ip", "link", "set", cable, "up")
        inside = ("ip", "-netns", name)
        for device, address in ((far, f"{OUTSIDE}/30"), ("lo", f"{METADATA}/32")):
            _run(*inside, "address", "add", address, "dev", device)
            _run(*inside, "link", "set", device, "up")
        _run("ip", "route", "add", f"{METADATA}/32", "via", OUTSIDE, "metric", "5")
        server = (sys.executable, "-m", "http.server", "80")
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(
            ("ip", "netns", "exec", name, *server), stdout=quiet, stderr=quiet, cwd=place
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        deadline = time.monotonic() + 15
        while not (reached(OUTSIDE, 80) and reached(METADATA, 80)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody listens at {METADATA}")
            time.sleep(0.05)
        yield


def _run(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=20, check=True).stdout
