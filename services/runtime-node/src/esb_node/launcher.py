"""The port to real processes: what `service.py` and `provisioning.py` ask for."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from attrs import frozen

from esb_node.liveness import Liveness
from esb_node.logs import open_log
from esb_node.processes import signal_group, spawn
from esb_node.specs import DnsProbe, GrpcProbe, HttpProbe, JobSpec, Probe, ServiceSpec, SocketProbe

_PROBE_SECONDS = 1.0


class Process(Protocol):
    """A started process."""

    @property
    def pid(self) -> int:
        """Its number."""

    def exit(self) -> int | None:
        """How it ended: its code, or minus the signal's number; None while it runs."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it, and the processes of its group."""


class Launcher(Protocol):
    """Starts processes and sees whether services are ready."""

    def start(self, spec: ServiceSpec) -> Process:
        """Start a service; raises OSError when its program can't be started."""

    def run(self, spec: JobSpec) -> Process:
        """Start a job; raises OSError when its program can't be started."""

    def is_ready(self, probe: Probe) -> bool:
        """Whether the service answers now."""

    def liveness(self, probe: Probe, clock: Callable[[], float]) -> Liveness | None:
        """What asks a ready service from now on whether it is alive; None asks nothing."""


@frozen
class RealProcess:
    """`Process` over a Popen."""

    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """See `Process`."""
        return self.popen.pid

    def exit(self) -> int | None:
        """See `Process`."""
        return self.popen.poll()

    def terminate(self) -> None:
        """See `Process`: the process only, it knows best how to end its children."""
        if self.popen.poll() is None:
            self.popen.terminate()

    def kill(self) -> None:
        """See `Process`."""
        signal_group(self.popen, signal.SIGKILL)


@frozen
class RealLauncher:
    """`Launcher` over the operating system."""

    def start(self, spec: ServiceSpec) -> Process:
        """See `Launcher`; stdout and stderr go to the service's log."""
        if isinstance(
            spec.ready, SocketProbe | GrpcProbe
        ):  # a socket left by a crash would only be in the way
            spec.ready.path.unlink(missing_ok=True)
        with open_log(spec.log) as log:
            return RealProcess(spawn(spec.argv, spec.env, log, log))

    def run(self, spec: JobSpec) -> Process:
        """See `Launcher`."""
        with open_log(spec.log) as log, spec.output.open("wb") as output:
            return RealProcess(spawn(spec.argv, spec.env, output, log))

    def is_ready(self, probe: Probe) -> bool:
        """See `Launcher`; waits at most a second."""
        match probe:
            case HttpProbe(url):
                return _answers(url)
            case SocketProbe(path) | GrpcProbe(path):
                return _connects(str(path))
            case DnsProbe(address, question):
                return _resolves(address, question)

    def liveness(self, probe: Probe, clock: Callable[[], float]) -> Liveness | None:
        """See `Launcher`."""
        return Liveness(probe, clock)


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connects(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_PROBE_SECONDS)
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def _resolves(address: str, question: bytes) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(_PROBE_SECONDS)
        try:
            client.connect((address, 53))
            client.send(question)
            return client.recv(512)[:2] == question[:2]
        except OSError:
            return False
