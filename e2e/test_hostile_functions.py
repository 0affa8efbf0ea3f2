"""Containerd mode: functions that mean harm are contained, under runc and gVisor; their neighbour answers on.

The functions are in `hostile/`; what follows from each test is written up in docs/security.md. While a test
runs, the neighbour is called all the time; each call has to be answered, and one more afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from botocore.exceptions import ClientError
from containerd_case import real_box
from faults.containerd_box import ContainerdBox
from hostile import host

pytestmark = pytest.mark.gate

HERE = Path(__file__).resolve().parent / "hostile"
LOG_MB, OLD_LOGS = 1, 1
ENVIRON = {
    "ESB_GATEWAY_ACCESS_LOG": "off",
    "ESB_CNI_SUBNET": "10.205.0.0/20",
    "ESB_AGENT_LOG_MAX_MB": str(LOG_MB),
    "ESB_AGENT_LOG_BACKUPS": str(OLD_LOGS),
}
MAX_PROCESSES = 1024
SMALL_MB = 128
# Kernels let some charges through at the limit, a page at a time.
OVER_MB = 1
# How long a neighbour's call may take while somebody else uses all he can get. Two cores are few.
PATIENCE = 5.0
WORKER_PORT = 8080
REFUSED = {"EACCES", "EPERM", "EROFS", "ENOENT", "ENOSYS", "ENOTSUP", "EINVAL", "ENODEV", "ENXIO"}
UNREACHED = {"ECONNREFUSED", "EHOSTUNREACH", "ENETUNREACH", "silent"}


@define
class Answer:
    """What a call came to. `error` is the function's, or the gateway's when there was no answer to give."""

    value: Any = None
    error: str = ""


@define
class Box:
    """The box with its functions, called through the gateway as anybody calls them."""

    real: ContainerdBox
    client: Any
    slowest: float = 0.0
    failed: list[str] = field(factory=list)
    answered: int = 0

    def call(self, function: str, **words: Any) -> Answer:
        try:
            answer = self.client.invoke(FunctionName=function, Payload=json.dumps(words))
        except ClientError as error:
            return Answer(error=str(error))
        payload = answer["Payload"].read()
        try:
            value = json.loads(payload)
        except ValueError:  # an emulator that was killed amid its answer
            return Answer(error=f"the answer is no JSON: {payload[:80]!r}")
        if answer.get("FunctionError"):
            return Answer(value, f"{value.get('errorType')}: {value.get('errorMessage')}")
        return Answer(value)

    def attack(self, function: str, attack: str, **words: Any) -> Any:
        """Call and take it that the function itself comes to an end."""
        answer = self.call(function, attack=attack, **words)
        assert answer.error == "", f"{function}, {attack}"
        return answer.value

    def until_serves(self, function: str) -> None:
        """The next call, or one soon after, is answered: by the same worker or a new one."""
        self.real.until(lambda: not self.call(function, attack="kernel").error, f"{function} serves", 30)

    def ask_neighbour(self) -> None:
        """One call; what is wrong with it is kept."""
        number, begin = self.answered, time.monotonic()
        answer = self.call("Neighbour", number=number)
        self.slowest = max(self.slowest, time.monotonic() - begin)
        if answer == Answer({"number": number, "twice": 2 * number}):
            self.answered += 1
        else:
            self.failed.append(answer.error or str(answer.value))

    def addresses(self) -> dict[str, str]:
        """Where workers are, by the names of their containers."""
        found = {}
        for space in self.real.ctr("namespaces", "ls", "--quiet").split():
            for name in self.real.tasks():
                labels = json.loads(self.real.ctr("--namespace", space, "containers", "info", name))["Labels"]
                found[name] = labels["io.esb.address"]
        return found

    def address_of(self, function: str) -> str:
        return next(address for name, address in self.addresses().items() if f"-{function}-" in name)

    @property
    def bridge_address(self) -> str:
        return self.real.layout()["subnet"].rpartition(".")[0] + ".1"

    def port(self, service: str) -> int:
        return int(self.real.status()["urls"][service].rpartition(":")[2])


@pytest.fixture(scope="module")
def box(
    tmp_path_factory: pytest.TempPathFactory,
    lambda_client: Callable[[ContainerdBox], AbstractContextManager[Any]],
) -> Iterator[Box]:
    template = (HERE / "template.yaml").read_text()
    sources = {f"src/{file.name}": file.read_text() for file in (HERE / "src").glob("*.py")}
    with (
        real_box(tmp_path_factory.mktemp("hostile"), template, sources, ENVIRON) as (real, _),
        lambda_client(real) as client,
    ):
        box = Box(real, client)
        real.until(
            lambda: real.health().get("images") == {"there": 5, "missing": []}, "all images are there", 90
        )
        yield box


@pytest.fixture(autouse=True)
def neighbour(box: Box) -> Iterator[None]:
    """Called before, all the while and afterwards; every call is answered."""
    box.failed, box.slowest, box.answered = [], 0.0, 0
    box.ask_neighbour()
    with host.repeated(box.ask_neighbour, 0.05):
        yield
    box.ask_neighbour()
    print(f"neighbour: {box.answered} calls answered, the slowest in {box.slowest:.2f} s")
    assert box.failed == []
    assert box.answered > 1
    assert box.slowest < PATIENCE


def under_each(**functions: str) -> pytest.MarkDecorator:
    """A test for each sandbox with the function that runs in it."""
    return pytest.mark.parametrize(
        "function", [pytest.param(name, id=sandbox) for sandbox, name in functions.items()]
    )


BOTH = under_each(runc="Hostile", gvisor="Guarded")
BOTH_SMALL = under_each(runc="HostileSmall", gvisor="GuardedSmall")


@pytest.fixture(autouse=True)
def sandbox(request: pytest.FixtureRequest, box: Box) -> None:
    """Where gVisor is missing its tests are not run, unless everything has to be there."""
    function = request.node.callspec.params.get("function", "") if hasattr(request.node, "callspec") else ""
    if function.startswith("Guarded") and not shutil.which("runsc"):
        if os.environ.get("ESB_REQUIRE_ENGINES") == "1":
            pytest.fail("runsc is not on PATH; e2e/setup-host.sh brings it")
        pytest.skip("runsc is not on PATH; e2e/setup-host.sh brings it")
    if function:
        box.until_serves(function)


# ── more than one's share ────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_a_fork_bomb_ends_at_the_limit_of_processes(box: Box, function: str) -> None:
    peaks = host.Peaks(box.real.slug, function)
    assert peaks.limits() == [MAX_PROCESSES]
    before = {name for name in box.real.tasks() if f"-{function}-" in name}
    with host.repeated(peaks.look, 0.02):
        answer = box.call(function, attack="fork_bomb", seconds=10)
    print(f"at most {peaks.processes} processes, {peaks.memory_mb:.0f} MB; {answer}")
    assert MAX_PROCESSES / 2 < peaks.processes <= MAX_PROCESSES
    # Nothing is left for the emulator either, so it may break with the bomb.
    assert answer.error or answer.value == {"refused": "EAGAIN"}
    box.until_serves(function)
    if answer.error:
        # Some thousand processes that end at once make a shim hang: it goes with its worker.
        box.real.until(lambda: not before & set(box.real.tasks()), "its worker is gone", 30)


def test_threads_count_as_processes(box: Box) -> None:
    found = box.attack("Hostile", "threads")
    assert found["refused"] == "can't start new thread"
    assert MAX_PROCESSES / 2 < found["made"] < MAX_PROCESSES


def test_a_fork_bomb_that_outlives_its_call_ends_with_its_worker(box: Box) -> None:
    box.until_serves("HostileSmall")
    before = set(box.real.tasks())
    answer = box.call("HostileSmall", attack="endless_fork_bomb")
    assert answer.error
    box.until_serves("HostileSmall")
    bombed = {name for name in before if "-HostileSmall-" in name}
    assert bombed
    box.real.until(lambda: not bombed & set(box.real.tasks()), "its worker is gone")
    box.real.until(lambda: host.Peaks(box.real.slug, "HostileSmall").count() < 40, "its processes are gone")


@BOTH_SMALL
def test_a_memory_hog_is_ended_and_its_function_goes_on(box: Box, function: str) -> None:
    peaks = host.Peaks(box.real.slug, function)
    with host.repeated(peaks.look, 0.01):
        answer = box.call(function, attack="memory_hog")
    print(f"at most {peaks.memory_mb:.0f} MB; {answer}")
    assert answer.error
    assert 0 < peaks.memory_mb <= SMALL_MB + OVER_MB
    box.until_serves(function)


@BOTH
def test_tmp_holds_512_mb_and_nothing_of_it_is_on_the_hosts_disk(box: Box, function: str) -> None:
    free = shutil.disk_usage(box.real.state).free
    assert box.attack(function, "fill", directory="/tmp", most_mb=900) == {"mb": 512, "ended": "ENOSPC"}
    assert free - shutil.disk_usage(box.real.state).free < 256 * 2**20
    box.attack(function, "clear", directory="/tmp")


@BOTH_SMALL
def test_what_is_in_tmp_counts_as_memory(box: Box, function: str) -> None:
    peaks = host.Peaks(box.real.slug, function)
    with host.repeated(peaks.look, 0.01):
        answer = box.call(function, attack="fill", directory="/tmp", most_mb=500)
    assert answer.error
    assert peaks.memory_mb <= SMALL_MB + OVER_MB
    box.until_serves(function)
    assert box.attack(function, "fill", directory="/tmp", most_mb=1) == {"mb": 1, "ended": "done"}


@pytest.mark.parametrize("line_kb", [pytest.param(1, id="lines"), pytest.param(0, id="one endless line")])
def test_a_flooded_log_stays_within_its_bound(box: Box, line_kb: int) -> None:
    logs = box.real.state / "agent" / "logs"
    box.attack("Hostile", "flood", mb=4, line_kb=line_kb)
    sizes = {file.name: file.stat().st_size for file in logs.glob("Hostile.log*")}
    print(sizes)
    assert len(sizes) == 1 + OLD_LOGS
    assert sum(sizes.values()) <= (1 + OLD_LOGS) * (LOG_MB + 0.1) * 2**20
    assert "xxxx" not in (logs / "Neighbour.log").read_text()


def test_a_function_that_prints_waits_while_nobody_reads(box: Box) -> None:
    box.until_serves("Hostile")
    agent = box.real.services()["agent"]
    with ThreadPoolExecutor() as pool:
        os.kill(agent, signal.SIGSTOP)
        try:
            flood = pool.submit(box.attack, "Hostile", "flood", mb=1, line_kb=1)
            time.sleep(2)
            assert not flood.done()
        finally:
            os.kill(agent, signal.SIGCONT)
        flood.result(30)


def test_a_worker_whose_emulator_is_killed_from_inside_is_replaced(box: Box) -> None:
    assert box.call("HostileSmall", attack="kill_all").error
    box.until_serves("HostileSmall")


# ── files, processes, the kernel ─────────────────────────────────────────────────────────────────────────

KERNEL_FILES = (
    *("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/net/ipv4/ip_forward"),
    *("/proc/sysrq-trigger", "/sys/kernel/uevent_helper", "/etc/resolv.conf", "/etc/hosts", "/etc/passwd"),
)


@BOTH
def test_nothing_but_tmp_can_be_written(box: Box, function: str) -> None:
    tried = box.attack(function, "writes", files=KERNEL_FILES)
    assert {path: how for path, how in tried.items() if how not in REFUSED} == {}
    assert {"/hostile", "/var/task/hostile", "/dev/hostile", "/etc/resolv.conf"} <= set(tried)
    mounts = box.attack(function, "mounts")
    assert {point for point, options in mounts.items() if "ro" not in options} <= {
        "/tmp",
        "/proc",
        "/dev/pts",
    }
    groups = box.attack(function, "cgroup_files")
    assert {path: how for path, how in groups.items() if how not in REFUSED} == {}
    assert groups or function == "Guarded"  # gVisor shows none


def test_no_file_of_the_kernel_is_open_to_writing(box: Box) -> None:
    found = set(box.attack("Hostile", "open_to_writing"))
    harmless = {f"/dev/{name}" for name in ("full", "null", "random", "tty", "urandom", "zero")}
    # Masked: /dev/null in their place.
    masked = {"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/sched_debug"}
    assert found - masked == harmless


@BOTH
def test_devices_of_the_host_are_not_there_and_cannot_be_made(box: Box, function: str) -> None:
    device = box.real.state.stat().st_dev
    found = box.attack(function, "devices", disk=[os.major(device), os.minor(device)])
    assert set(found["opened"].values()) <= REFUSED
    if function == "Hostile":
        assert set(found["made"].values()) == {"EPERM"}
    usual = {
        "fd",
        "full",
        "null",
        "ptmx",
        "pts",
        "random",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
        "zero",
    }
    # gVisor shows two more, of its own kernel.
    assert set(found["names"]) - usual <= ({"fuse", "shm"} if function == "Guarded" else set())


@BOTH
def test_no_socket_of_an_engine_is_in_reach(box: Box, function: str) -> None:
    agent = box.real.status()["urls"]["agent"].removeprefix("unix:")
    settings = (Path(box.real.layout()["run"]) / "node.env").read_text().splitlines()
    engine = dict(line.split("=", 1) for line in settings)["ESB_CONTAINERD_ADDRESS"]
    for path in (agent, engine):
        assert Path(path).is_socket()
    others = ["/run/containerd/containerd.sock", "/var/run/docker.sock", "/run/docker.sock"]
    name = f"hostile-{os.getpid()}"
    with host.listening_abstract(name):
        found = box.attack(function, "sockets", paths=[agent, engine, *others], names=[name])
    assert found["found"] == []
    assert set(found["asked"].values()) <= {"ENOENT", "EACCES"}
    assert found["abstract"] == {name: "ECONNREFUSED"}


@BOTH
def test_processes_and_secrets_of_the_box_are_out_of_sight(box: Box, function: str) -> None:
    found = box.attack(function, "secrets")
    keys = box.real.credentials()
    own = next(key for key in keys["access_keys"] if key["name"] == "functions")
    assert own["secret_access_key"] in found["text"]  # this one it is given
    secrets = [key["secret_access_key"] for key in keys["access_keys"] if key["name"] != "functions"]
    secrets += [key["value"] for key in keys["api_keys"] + keys["admin_keys"]] + [keys["jwt"]["secret"]]
    assert len(secrets) >= 4
    assert [secret for secret in secrets if secret in found["text"]] == []
    assert "ESB_CONTAINERD_ADDRESS" not in found["text"]
    alive = [words for words in found["processes"].values() if words]
    assert 1 <= len(alive) <= 3
    assert all("awslambdaric" in words or "aws-lambda-rie" in words for words in alive)


@BOTH
def test_a_function_has_no_privileges_and_gets_none(box: Box, function: str) -> None:
    found = box.attack(function, "privileges")
    status = found["status"]
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
    assert status["Uid"].split()[0] != "0"
    if function == "Hostile":
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        assert found["attempts"].pop("nice") in {"EACCES", "EPERM"}
    else:
        found["attempts"].pop("nice")  # of the scheduler of gVisor's own kernel
    assert set(found["attempts"].values()) == {"EPERM"}


def test_system_calls_that_lead_out_are_refused(box: Box) -> None:
    assert {name: how for name, how in box.attack("Hostile", "calls").items() if how != "EPERM"} == {}
    assert set(box.attack("Hostile", "families").values()) == {"EPERM"}


def test_under_gvisor_the_kernel_is_not_the_hosts(box: Box) -> None:
    if not shutil.which("runsc"):
        pytest.skip("runsc is not on PATH; e2e/setup-host.sh brings it")
    assert box.attack("Guarded", "kernel")["release"] != os.uname().release
    tried = box.attack("Guarded", "calls")
    out = (
        "bpf",
        "init_module",
        "finit_module",
        "kexec_load",
        "reboot",
        "mount",
        "swapon",
        "settimeofday",
        "setns",
    )
    assert {name: tried[name] for name in out if tried[name] not in REFUSED} == {}
    assert set(box.attack("Guarded", "families").values()) == {"EAFNOSUPPORT"}


# ── the network ──────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_of_the_host_only_dns_gateway_and_stores_answer(box: Box, function: str) -> None:
    own, gateway, stores = box.bridge_address, box.port("gateway"), box.port("data-plane")
    ports = {"range": [1, 65536]} if function == "Hostile" else [*range(1, 1025), gateway, stores]
    registry = int(box.real.registry.rpartition(":")[2])
    with host.listening() as everywhere:
        assert all(host.reached(address, everywhere) for address in host.addresses())
        others = [address for address in host.addresses() if address not in {own, "127.0.0.1"}]
        assert others
        targets = [[own, ports], [own, [everywhere, registry]]]
        targets += [[address, [everywhere, gateway, registry]] for address in [*others, "127.0.0.1"]]
        found = box.attack(function, "scan", targets=targets, seconds=3)
    # Boxes of other tests come and go; what was one's address leads to the outside afterwards.
    still = host.addresses()
    assert sorted(target for target in found.pop("open") if target[0] in still) == sorted(
        [[own, 53], [own, gateway], [own, stores]]
    )
    assert set(found) <= UNREACHED


@BOTH
def test_workers_do_not_reach_each_other(box: Box, function: str) -> None:
    mine = box.address_of(function)
    others = {address for name, address in box.addresses().items() if f"-{function}-" not in name}
    assert others
    assert all(host.reached(address, WORKER_PORT) for address in others)
    head = mine.rpartition(".")[0]
    everybody = sorted({*others, *(f"{head}.{number}" for number in range(2, 60))} - {mine})
    targets = [[address, [WORKER_PORT, 9001, 22]] for address in everybody]
    found = box.attack(function, "scan", targets=[[mine, [WORKER_PORT]], *targets], seconds=3)
    assert found.pop("open") == [[mine, WORKER_PORT]]  # its own, so that the scan is known to see
    assert set(found) <= UNREACHED


@BOTH
def test_a_clouds_metadata_is_refused_though_somebody_listens(
    box: Box, function: str, tmp_path: Path
) -> None:
    with host.neighbourhood(tmp_path):
        targets = [[host.METADATA, [80]], [host.OUTSIDE, [80]]]
        found = box.attack(function, "scan", targets=targets, seconds=3)
    # The other address of the same machine is reached, so it is the rule that refuses this one.
    assert found == {"open": [[host.OUTSIDE, 80]], "ECONNREFUSED": 1}


@BOTH
def test_a_worker_speaks_for_nobody_but_itself(box: Box, function: str) -> None:
    found = box.attack(function, "spoof", own=box.address_of(function), address=box.address_of("Neighbour"))
    assert found.pop("speak as itself") == "done"
    assert {name: how for name, how in found.items() if how == "done"} == {}
    if function == "Hostile":
        assert {found["raw socket"], found["packet socket"], found["an address by netlink"]} == {"EPERM"}


@BOTH
def test_names_of_the_outside_lead_nowhere_at_once(box: Box, function: str) -> None:
    found = box.attack(function, "names", asked=["gateway", "s3", "example.com", "metadata.google.internal"])
    own = box.bridge_address
    assert [found[name][0] for name in ("gateway", "s3")] == [own, own]
    assert [found[name][0] for name in ("example.com", "metadata.google.internal")] == ["", ""]
    assert all(seconds < 2 for _, seconds in found.values())


def test_the_data_plane_has_tables_and_buckets_and_no_way_out(box: Box) -> None:
    found = box.attack("Hostile", "stores", address=f"{box.bridge_address}:{box.port('data-plane')}")
    assert found.pop("buckets") == 200
    assert set(found.values()) == {501}
