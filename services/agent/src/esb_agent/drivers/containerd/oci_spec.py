"""From a function's spec and its image to the OCI spec of its container. Pure: nothing is read or made here.

The same hardening as in Docker mode: no capability, no new privileges, a root that cannot be written, `/tmp`
in memory, hard limits for memory, processes and files. Beyond it: `/dev` cannot be written either, as on AWS,
and a worker is the first to go when the host runs out of memory.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attrs import frozen

from esb_agent.drivers.containerd.users import User
from esb_agent.drivers.emulator_function import (
    MAX_FILES,
    MAX_PROCESSES,
    MIB,
    TMP_OPTIONS,
    command,
    environment,
)
from esb_agent.model import FunctionSpec, Identity

OCI_VERSION = "1.0.2"
# The kernel shares CPU time out in periods of this length.
CPU_PERIOD_US = 100_000
# From 0 to 1000: the higher, the sooner the kernel ends it when the whole host is out of memory.
OOM_SCORE = 500
HOST_NAME_LENGTH = 63
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NAMESPACES = ("pid", "ipc", "uts", "mount", "cgroup")
# What tells of the host or works on it.
MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/pressure",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
# With version 1 of control groups runc puts them into a file system of its own that can be written.
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/sys/fs/cgroup")
CLOSED = ("nosuid", "noexec", "nodev")

Spec = dict[str, object]


class Image(Protocol):
    """What is needed of an image's configuration."""

    @property
    def entrypoint(self) -> Sequence[str]:
        """The program and its first words."""

    @property
    def cmd(self) -> Sequence[str]:
        """The words after it, unless the function has its own."""

    @property
    def env(self) -> Sequence[str]:
        """`NAME=value` each."""

    @property
    def workdir(self) -> str:
        """Where it starts; empty: in `/`."""


@frozen(kw_only=True)
class Place:
    """Where a container runs: its network namespace, its name files, its cgroup, what the host can limit."""

    netns: Path
    resolv: Path
    hosts: Path
    cgroup: str
    nano_cpus: int
    swap_limited: bool = True


def oci_spec(
    spec: FunctionSpec,
    identity: Identity,
    image: Image,
    place: Place,
    *,
    user: User,
    seccomp: Mapping[str, object] | None,
) -> Spec:
    """The whole container. `seccomp` None: no filter, where the sandbox answers system calls itself."""
    linux: Spec = {
        "cgroupsPath": place.cgroup,
        "namespaces": [
            *({"type": kind} for kind in NAMESPACES),
            {"type": "network", "path": str(place.netns)},
        ],
        "resources": _resources(spec, place),
        "maskedPaths": list(MASKED),
        "readonlyPaths": list(READ_ONLY),
    }
    if seccomp is not None:
        linux["seccomp"] = dict(seccomp)
    return {
        "ociVersion": OCI_VERSION,
        "process": _process(spec, identity, image, user),
        "root": {"path": "rootfs", "readonly": True},
        "hostname": identity.worker_id[-HOST_NAME_LENGTH:].strip("-."),
        "mounts": _mounts(place),
        "linux": linux,
    }


def arguments(spec: FunctionSpec, image: Image) -> list[str]:
    """The image's entrypoint with the function's words, or with the image's own where it has none."""
    words = command(spec)
    return [*image.entrypoint, *(image.cmd if words is None else words)]


def variables(spec: FunctionSpec, identity: Identity, image: Image) -> list[str]:
    """The image's environment; the function's and the platform's win."""
    merged = {"PATH": DEFAULT_PATH, "HOSTNAME": identity.worker_id}
    for entry in image.env:
        name, _, value = entry.partition("=")
        merged[name] = value
    merged |= environment(spec, identity.worker_id)
    return [f"{name}={value}" for name, value in merged.items()]


def _process(spec: FunctionSpec, identity: Identity, image: Image, user: User) -> Spec:
    nothing: dict[str, list[str]] = {
        name: [] for name in ("bounding", "effective", "inheritable", "permitted", "ambient")
    }
    return {
        "terminal": False,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "args": arguments(spec, image),
        "env": variables(spec, identity, image),
        "cwd": image.workdir or "/",
        "capabilities": nothing,
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "soft": MAX_FILES, "hard": MAX_FILES},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        ],
        "noNewPrivileges": True,
        "oomScoreAdj": OOM_SCORE,
    }


def cpu_limit(nano_cpus: int) -> dict[str, int]:
    """Billionths of a CPU as a share of each period."""
    return {"quota": max(1000, nano_cpus * CPU_PERIOD_US // 10**9), "period": CPU_PERIOD_US}


def _resources(spec: FunctionSpec, place: Place) -> Spec:
    memory = {"limit": spec.memory_mb * MIB}
    if place.swap_limited:
        # Memory and swap together: with both the same there is no swap.
        memory["swap"] = memory["limit"]
    return {
        "devices": [{"allow": False, "access": "rwm"}],
        "memory": memory,
        "cpu": cpu_limit(place.nano_cpus),
        "pids": {"limit": MAX_PROCESSES},
    }


def _mounts(place: Place) -> list[Spec]:
    tmp = "/tmp"  # noqa: S108 - the container's own, and all it can write to
    devices = ["nosuid", "strictatime", "mode=755", "size=64k", "ro"]
    terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
    return [
        _mount("/proc", "proc", "proc", CLOSED),
        _mount("/dev", "tmpfs", "tmpfs", devices),
        _mount("/dev/pts", "devpts", "devpts", terminals),
        _mount("/sys", "sysfs", "sysfs", [*CLOSED, "ro"]),
        # Runtimes such as Java's ask here how much memory they have.
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*CLOSED, "relatime", "ro"]),
        _mount(tmp, "tmpfs", "tmpfs", TMP_OPTIONS.split(",")),
        _mount("/etc/resolv.conf", "bind", str(place.resolv), ["rbind", "ro", *CLOSED]),
        _mount("/etc/hosts", "bind", str(place.hosts), ["rbind", "ro", *CLOSED]),
    ]


def _mount(destination: str, kind: str, source: str, options: Sequence[str]) -> Spec:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}
