"""What a containerd that has ended still keeps of workers: it is started once more on its root, and asked."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SECONDS = 20.0
_CONFIG = """version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
"""


def stored_remains(root: Path) -> list[str]:
    """Return containers, leases and writable snapshots of all namespaces; images may stay."""
    if not root.exists():
        return []
    with _containerd(root) as socket:
        return [
            f"{what} {name}"
            for namespace in _ctr(socket, "namespaces", "ls", "--quiet").split()
            for what, name in _kept(socket, namespace)
        ]


def _kept(socket: Path, namespace: str) -> Iterator[tuple[str, str]]:
    def asked(*words: str) -> str:
        return _ctr(socket, "--namespace", namespace, *words)

    for name in asked("containers", "ls", "--quiet").split():
        yield "container", name
    for name in asked("leases", "ls", "--quiet").split():
        yield "lease", name
    for line in asked("snapshots", "ls").splitlines()[1:]:
        if line.split()[-1] == "Active":
            yield "snapshot", line.split()[0]


@contextmanager
def _containerd(root: Path) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="esb-stored-"))
    socket, config = place / "containerd.sock", place / "config.toml"
    config.write_text(_CONFIG)
    words = (
        "containerd",
        "--config",
        config,
        "--root",
        root,
        "--state",
        place / "state",
        "--address",
        socket,
    )
    with (place / "log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as process:
        try:
            deadline = time.monotonic() + _SECONDS
            while not _ctr(socket, "version", check=False):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise OSError(
                        f"containerd does not start on {root}: {(place / 'log').read_text()[-1000:]}"
                    )
                time.sleep(0.05)
            yield socket
        finally:
            process.terminate()
            try:
                process.wait(_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
    shutil.rmtree(place)


def _ctr(socket: Path, *words: str, check: bool = True) -> str:
    command = ("ctr", "--connect-timeout", "1s", "--address", str(socket), *words)
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if done.returncode and check:
        raise OSError(f"{' '.join(command)}: {done.stderr}")
    return "" if done.returncode else done.stdout
