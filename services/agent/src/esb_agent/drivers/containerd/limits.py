"""What can be limited of a worker by its control group, in version 1 and 2."""

from collections.abc import Mapping
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
