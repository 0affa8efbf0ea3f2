"""Taking away what a containerd box left that was killed: `down`, when nobody is there to be asked."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from esb_node import lock
from esb_node.containerd.commands import find, succeeds
from esb_node.containerd.ground import lift
from esb_node.containerd.layout import Layout, read_layout
from esb_node.containerd.leftovers import remove_workers, shims, strays

_START_SECONDS = 15.0
_STOP_SECONDS = 10.0
_POLL = 0.05


def lift_leftovers(state: Path) -> bool:
    """Remove workers, mounts, network and rules of a box that no longer runs; False if there are none.

    Raises:
        BoxRunningError: somebody starts the box meanwhile.
        NodeError: some process could not be killed.
    """
    if read_layout(state) is None:
        return False
    with lock.hold(state):
        layout = read_layout(state)
        if layout is None:
            return False
        _forget_workers(layout)
        lift(layout)
    return True


def _forget_workers(layout: Layout) -> None:
    """Containers and snapshots stand in containerd's own books: only it can strike them out."""
    if not layout.engine_config.exists() or not (shims(layout) or _has_records(layout)):
        return
    started = None if strays(layout) else _start(layout)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not succeeds(["ctr", "--address", str(layout.socket), "version"]):
            if time.monotonic() >= deadline or (started and started.poll() is not None):
                return  # what can be taken away without it is
            time.sleep(_POLL)
        remove_workers(layout, {"overlayfs", "devmapper"})
    finally:
        if started:
            _end(started)


def _end(started: subprocess.Popen[bytes]) -> None:
    started.terminate()
    try:
        started.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        started.kill()
        started.wait()


def _has_records(layout: Layout) -> bool:
    return (layout.engine_root / "io.containerd.metadata.v1.bolt" / "meta.db").exists()


def _start(layout: Layout) -> subprocess.Popen[bytes] | None:
    program = find("containerd")
    if program is None:
        return None
    return subprocess.Popen(
        [program, "--config", str(layout.engine_config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
