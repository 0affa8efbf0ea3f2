"""What a box's engine runs and leaves: found by the engine's address and directories, ended for good.

orderly: ask containerd ─▶ tasks, containers, snapshots, leases away ─▶ end shims ─▶ unmount ─▶ cgroups
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Collection
from pathlib import Path

from esb_node.containerd.commands import lines, succeeds
from esb_node.containerd.layout import Layout

_SHIM = "containerd-shim"
_POLL = 0.02
_END_SECONDS = 5.0
_CTR_SECONDS = 30.0
_CGROUPS = Path("/sys/fs/cgroup")
# Where containerd's shim has runc and gVisor keep their records, a directory for each namespace.
_RUNTIME_ROOTS = (Path("/run/containerd/runc"), Path("/run/containerd/runsc"))


def shims(layout: Layout) -> set[int]:
    """The processes that hold this box's workers: they outlive containerd and the box's supervisor."""
    return {
        pid
        for pid, argv in _processes()
        if _SHIM in Path(argv[0]).name and str(layout.socket) in argv and "start" not in argv
    }


def strays(layout: Layout) -> set[int]:
    """Containerd and dnsmasq of this box, whoever started them."""
    marks = {str(layout.engine_config), f"--conf-file={layout.dns_config}"}
    return {
        pid
        for pid, argv in _processes()
        if Path(argv[0]).name in {"containerd", "dnsmasq"} and marks & set(argv)
    }


def remove_workers(layout: Layout, snapshotters: Collection[str]) -> None:
    """Have the running containerd end and forget everything of the box but its images."""
    ctr = ["ctr", "--address", str(layout.socket), "--namespace", layout.namespace]
    tasks = lines([*ctr, "tasks", "list", "--quiet"], _CTR_SECONDS)
    for task in tasks:
        succeeds([*ctr, "tasks", "kill", "--all", "--signal", "SIGKILL", task], seconds=_CTR_SECONDS)
    for task in tasks:
        succeeds([*ctr, "tasks", "delete", "--force", task], seconds=_CTR_SECONDS)
    if containers := lines([*ctr, "containers", "list", "--quiet"], _CTR_SECONDS):
        succeeds([*ctr, "containers", "delete", *containers], seconds=_CTR_SECONDS)
    for snapshotter in snapshotters:
        of = [*ctr, "snapshots", "--snapshotter", snapshotter]
        for line in lines([*of, "list"], _CTR_SECONDS)[1:]:
            key, *_, kind = line.split()
            if kind == "Active":
                succeeds([*of, "remove", key], seconds=_CTR_SECONDS)
    for lease in lines([*ctr, "leases", "list", "--quiet"], _CTR_SECONDS):
        succeeds([*ctr, "leases", "delete", lease], seconds=_CTR_SECONDS)


def end_engine(layout: Layout) -> set[int]:
    """Kill what is left of the box's engine, workers included; returns what could not be killed."""
    left = end(strays(layout), signal.SIGTERM)
    workers = {child for shim in shims(layout) for child in _descendants(shim)}
    left |= end(shims(layout), signal.SIGKILL) | end(workers, signal.SIGKILL)
    _unmount(layout)
    for directory in (layout.engine_state, *(root / layout.namespace for root in _RUNTIME_ROOTS)):
        shutil.rmtree(directory, ignore_errors=True)
    _remove_cgroups(layout)
    return left


def end(pids: Collection[int], number: signal.Signals) -> set[int]:
    """Signal processes and wait until they are gone, with SIGKILL when they take too long."""
    _signal(pids, number)
    for seconds in (_END_SECONDS, _END_SECONDS):
        deadline = time.monotonic() + seconds
        while left := {pid for pid in pids if _lives(pid)}:
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL)
        if not left:
            return set()
        _signal(left, signal.SIGKILL)
    return {pid for pid in pids if _lives(pid)}


def mounts(layout: Layout) -> list[Path]:
    """What is mounted below the engine's directories, the innermost first."""
    roots = (str(layout.engine_state), str(layout.engine_root))
    points = [line.split()[1] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    found = [point.encode().decode("unicode_escape") for point in points]
    return [Path(p) for p in sorted(found, reverse=True) if p.startswith(tuple(f"{r}/" for r in roots))]


def _unmount(layout: Layout) -> None:
    for point in mounts(layout):
        succeeds(["umount", "--lazy", str(point)])


def _remove_cgroups(layout: Layout) -> None:
    """Empty groups that a killed runc left, in every hierarchy; workers' are below the namespace's."""
    hierarchies = [_CGROUPS, *(path for path in _CGROUPS.glob("*") if path.is_dir())]
    for hierarchy in hierarchies:
        for directory, _, _ in os.walk(hierarchy / layout.namespace, topdown=False):
            with contextlib.suppress(OSError):
                Path(directory).rmdir()


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found |= {child} | _descendants(child)
    return found


def _processes() -> list[tuple[int, list[str]]]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                text = (entry / "cmdline").read_bytes()
                if text:
                    found.append((int(entry.name), os.fsdecode(text.rstrip(b"\0")).split("\0")))
    return found


def _lives(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _signal(pids: Collection[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
