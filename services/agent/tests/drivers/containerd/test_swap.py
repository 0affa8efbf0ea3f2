import pytest
from esb_agent.drivers.containerd.measures import swap_is_counted


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
