import os

import pytest
from esb_agent.drivers.containerd.limits import (
    keep_on_one_cpu,
    limit_cpu,
    spread_over_cpus,
    swap_is_counted,
)


@pytest.mark.parametrize(
    ("files", "counted"),
    [
        (["cgroup/memory/memory.limit_in_bytes", "proc/swaps"], False),
        (["cgroup/memory/memory.memsw.limit_in_bytes", "proc/swaps"], True),
        (["cgroup/cgroup.controllers", "proc/swaps"], True),
        (["cgroup/cgroup.controllers"], False),
    ],
)
def test_swap_is_limited_where_the_kernel_counts_it(tmp_path, files, counted):
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert swap_is_counted(tmp_path / "proc", tmp_path / "cgroup") is counted


@pytest.mark.parametrize(
    ("directory", "files"),
    [
        ("cpu/box/w", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "7000"}),
        ("box/w", {"cpu.max": "7000 100000"}),
    ],
)
def test_the_cpu_of_a_group_is_limited_where_it_is(tmp_path, directory, files):
    place = tmp_path / directory
    place.mkdir(parents=True)
    for name in files:
        (place / name).write_text("max")
    assert limit_cpu("box/w", {"quota": 7000, "period": 100_000}, tmp_path) is True
    assert {name: (place / name).read_text() for name in files} == files


def test_a_group_that_is_elsewhere_is_not_limited(tmp_path):
    assert limit_cpu("box/w", {"quota": 7000, "period": 100_000}, tmp_path) is False


@pytest.mark.parametrize(("directory", "parents"), [("cpuset/box/w", "0-3"), ("box/w", "")])
def test_a_group_is_kept_on_one_cpu_by_turns_and_let_go(tmp_path, directory, parents):
    place = tmp_path / directory
    place.mkdir(parents=True)
    (place.parent / "cpuset.cpus").write_text(parents)
    (place / "cpuset.cpus").write_text(parents)
    here = [str(cpu) for cpu in sorted(os.sched_getaffinity(0))]
    for turn in range(2 * len(here)):
        assert keep_on_one_cpu("box/w", turn, tmp_path) is True
        assert (place / "cpuset.cpus").read_text() == here[turn % len(here)]
    assert spread_over_cpus("box/w", tmp_path) is True
    assert (place / "cpuset.cpus").read_text().strip() == parents


def test_cpus_that_cannot_be_chosen_are_left(tmp_path):
    assert keep_on_one_cpu("box/w", 0, tmp_path) is False
    assert spread_over_cpus("box/w", tmp_path) is False
