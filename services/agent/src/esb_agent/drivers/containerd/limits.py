"""What can be limited of a worker by its control group, in version 1 and 2."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from esb_agent.drivers.containerd.measures import CGROUPS, PROC


def swap_is_counted(proc: Path = PROC, cgroups: Path = CGROUPS) -> bool:
    """Whether swap can be limited: version 1 does it only where the kernel was told to, at its start."""
    memory = cgroups / "memory"
    return (memory / "memory.memsw.limit_in_bytes" if memory.is_dir() else proc / "swaps").exists()


def limit_cpu(group: str, limit: Mapping[str, int], cgroups: Path = CGROUPS) -> bool:
    """Give a group `quota` microseconds of CPU in each `period`; False: not there, or not ours to write."""
    first, second = cgroups / "cpu" / group, cgroups / group
    try:
        if first.is_dir():
            (first / "cpu.cfs_period_us").write_text(str(limit["period"]))
            (first / "cpu.cfs_quota_us").write_text(str(limit["quota"]))
        elif (second / "cpu.max").exists():
            (second / "cpu.max").write_text(f"{limit['quota']} {limit['period']}")
        else:
            return False
    except OSError:
        return False
    return True


def keep_on_one_cpu(group: str, turn: int, cgroups: Path = CGROUPS) -> bool:
    """Let a group run on one CPU only, which of them by turns; False: as for `limit_cpu`."""
    here = sorted(os.sched_getaffinity(0))
    return _set_cpus(group, lambda _: str(here[turn % len(here)]), cgroups)


def spread_over_cpus(group: str, cgroups: Path = CGROUPS) -> bool:
    """Let a group run on every CPU that is there for it; False: as for `limit_cpu`."""
    return _set_cpus(group, lambda parent: parent.read_text().strip() + "\n", cgroups)


def _set_cpus(group: str, chosen: Callable[[Path], str], cgroups: Path) -> bool:
    first, second = cgroups / "cpuset" / group, cgroups / group
    place = (first if first.is_dir() else second) / "cpuset.cpus"
    try:
        if not place.exists():
            return False
        # Of version 2 the parent's is empty, as this one's was: both are bounded by what is above them.
        place.write_text(chosen(place.parent.parent / place.name))
    except OSError:
        return False
    return True
