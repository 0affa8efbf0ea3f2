"""What the kernel counts of a worker's processes, in control groups of version 1 and 2."""

from collections.abc import Callable
from pathlib import Path

from esb_agent.drivers.emulator_worker import Measured

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def measure(group: str, pid: int, proc: Path = PROC, cgroups: Path = CGROUPS) -> Measured:
    """What the control groups of a worker hold. Raises OSError: it is gone.

    `group` is where it was put. A runtime that puts it elsewhere, as microVMs' does, is found by `pid`, which
    means something only to an agent that sees the processes of its containerd.
    """
    if (cgroups / "memory" / group).is_dir():
        return _version_1(lambda kind, name: _text(cgroups / kind / group / name))
    if (cgroups / group).is_dir():
        return _version_2(lambda name: _text(cgroups / group / name))
    groups = parse_membership((proc / str(pid) / "cgroup").read_text(encoding="utf-8"))
    if "memory" in groups:
        places = {kind: path.lstrip("/") for kind, path in groups.items()}
        return _version_1(lambda kind, name: _text(cgroups / kind / places.get(kind, "none") / name))
    path = cgroups / groups.get("", "/").lstrip("/")
    return _version_2(lambda name: _text(path / name))


def parse_membership(text: str) -> dict[str, str]:
    """Controller to path, of /proc/PID/cgroup; version 2 has the controller ""."""
    groups = {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def parse_flat(text: str) -> dict[str, int]:
    """A file of `name number` lines."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _version_1(read: Callable[[str, str], str]) -> Measured:
    stat = parse_flat(read("memory", "memory.stat"))
    rss = stat.get("total_rss", stat.get("rss", 0)) + stat.get("total_shmem", stat.get("shmem", 0))
    return Measured(
        rss_bytes=rss,
        peak_bytes=_number(read("memory", "memory.max_usage_in_bytes")),
        cpu_seconds=_number(read("cpuacct", "cpuacct.usage")) / 1e9,
        tasks=_number(read("pids", "pids.current")),
    )


def _version_2(read: Callable[[str], str]) -> Measured:
    stat = parse_flat(read("memory.stat"))
    return Measured(
        rss_bytes=stat.get("anon", 0) + stat.get("shmem", 0),
        peak_bytes=_number(read("memory.peak")),
        cpu_seconds=parse_flat(read("cpu.stat")).get("usage_usec", 0) / 1e6,
        tasks=_number(read("pids.current")),
    )


def _text(path: Path) -> str:
    """What a host does not count is nothing."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _number(text: str) -> int:
    return int(text) if text.strip().isdecimal() else 0
