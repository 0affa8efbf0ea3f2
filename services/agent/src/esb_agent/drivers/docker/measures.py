"""What the engine measures of a container, on hosts with control groups of version 1 and 2."""

from collections.abc import Mapping
from typing import Any

from esb_agent.drivers.emulator_worker import Measured


def parse_stats(stats: Mapping[str, Any]) -> Measured:
    """From the engine's JSON; what a host does not count is 0."""
    memory = stats.get("memory_stats") or {}
    details = memory.get("stats") or {}
    # Version 1 counts `rss` (and `total_rss` with all below it), version 2 `anon`; what is written to /tmp
    # is memory, too: part of `cache` in the one, of `shmem` in the other.
    rss = int(details.get("total_rss", details.get("rss", details.get("anon", 0))))
    rss += int(details.get("shmem", 0))
    if not rss:
        rss = int(memory.get("usage", 0))
    cpu = (stats.get("cpu_stats") or {}).get("cpu_usage") or {}
    return Measured(
        rss_bytes=rss,
        peak_bytes=int(memory.get("max_usage", 0)),
        cpu_seconds=int(cpu.get("total_usage", 0)) / 1e9,
        tasks=int((stats.get("pids_stats") or {}).get("current", 0)),
    )
