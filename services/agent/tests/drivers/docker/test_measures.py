"""What engines on either version of control groups measure."""

from esb_agent.drivers.docker.measures import parse_stats
from esb_agent.drivers.emulator_worker import Measured

CPU = {"cpu_usage": {"total_usage": 1_500_000_000}}


def test_version_1():
    memory = {
        "usage": 28200960,
        "max_usage": 268435456,
        "stats": {"rss": 1, "total_rss": 26685440, "cache": 102400},
    }
    stats = {"memory_stats": memory, "cpu_stats": CPU, "pids_stats": {"current": 11}}
    assert parse_stats(stats) == Measured(rss_bytes=26685440, peak_bytes=268435456, cpu_seconds=1.5, tasks=11)


def test_version_2():
    memory = {"usage": 28200960, "stats": {"anon": 20000000, "shmem": 5000000, "file": 3000000}}
    stats = {"memory_stats": memory, "cpu_stats": CPU, "pids_stats": {"current": 11}}
    assert parse_stats(stats) == Measured(rss_bytes=25000000, peak_bytes=0, cpu_seconds=1.5, tasks=11)


def test_what_is_not_counted_is_nothing():
    assert parse_stats({}) == Measured(rss_bytes=0, peak_bytes=0, cpu_seconds=0.0, tasks=0)
    assert parse_stats({"memory_stats": {"usage": 5}, "pids_stats": {}}).rss_bytes == 5
