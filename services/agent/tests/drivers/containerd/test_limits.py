import pytest
from esb_agent.drivers.containerd.limits import limit_cpu, swap_is_counted


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
