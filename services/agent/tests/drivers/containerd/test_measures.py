"""What is read of a worker's control groups, in either version."""

import pytest
from esb_agent.drivers.containerd.measures import measure
from esb_agent.drivers.emulator_worker import Measured

V1 = {
    "memory/box/w/memory.stat": "rss 1\ntotal_rss 4096\ntotal_shmem 100\n",
    "memory/box/w/memory.max_usage_in_bytes": "8192\n",
    "cpuacct/box/w/cpuacct.usage": "2500000000\n",
    "pids/box/w/pids.current": "3\n",
}
V2 = {
    "box/w/memory.stat": "anon 4096\nfile 7\nshmem 100\n",
    "box/w/memory.peak": "8192\n",
    "box/w/cpu.stat": "usage_usec 2500000\n",
    "box/w/pids.current": "3\n",
}
BOTH = Measured(rss_bytes=4196, peak_bytes=8192, cpu_seconds=2.5, tasks=3)


def laid(root, files):
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


@pytest.mark.parametrize("files", [V1, V2])
def test_a_worker_is_measured_where_it_was_put_whoever_sees_its_processes(tmp_path, files):
    assert measure("box/w", 0, proc=tmp_path / "no", cgroups=laid(tmp_path, files)) == BOTH


@pytest.mark.parametrize(
    ("files", "membership"),
    [(V1, "4:memory:/box/w\n3:cpuacct,cpu:/box/w\n2:pids:/box/w\n1:name=systemd:/\n"), (V2, "0::/box/w\n")],
)
def test_one_that_its_runtime_put_elsewhere_is_found_by_its_process(tmp_path, files, membership):
    proc = laid(tmp_path / "proc", {"7/cgroup": membership})
    assert measure("box/other", 7, proc=proc, cgroups=laid(tmp_path, files)) == BOTH


def test_one_that_is_gone_cannot_be_measured(tmp_path):
    with pytest.raises(OSError, match="7"):
        measure("box/w", 7, proc=tmp_path, cgroups=tmp_path)
