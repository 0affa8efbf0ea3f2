"""Which system calls a function may make."""

import json

import pytest
from esb_agent.drivers.containerd.seccomp import Host, allowed_groups, built_in, from_docker, load_profile
from esb_agent.errors import ConfigError

HOST = Host("x86_64", (6, 1))
FORBIDDEN = [
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "setns",
    "unshare",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "pidfd_getfd",
    "bpf",
    "perf_event_open",
    "keyctl",
    "add_key",
    "request_key",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "userfaultfd",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "reboot",
    "swapon",
    "swapoff",
    "syslog",
    "acct",
    "quotactl",
    "iopl",
    "ioperm",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "sethostname",
    "setdomainname",
    "name_to_handle_at",
    "open_by_handle_at",
    "fanotify_init",
    "lookup_dcookie",
    "vhangup",
    "nfsservctl",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsmount",
    "fsconfig",
    "fspick",
    "mount_setattr",
    "move_pages",
    "migrate_pages",
    "modify_ldt",
]


def rules_for(profile, name):
    return [rule for rule in profile["syscalls"] if name in rule["names"]]


@pytest.mark.parametrize("name", FORBIDDEN)
def test_calls_that_work_on_the_host_are_on_no_list(name):
    assert rules_for(built_in(HOST), name) == []


def test_what_is_on_no_list_fails_with_eperm():
    profile = built_in(HOST)
    assert (profile["defaultAction"], profile["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)


def test_no_call_is_listed_twice():
    names = [name for group in allowed_groups().values() for name in group]
    assert len(names) == len(set(names))
    looked_at = {"clone", "clone3", "socket", "personality"}
    assert not looked_at & set(names)


def test_threads_may_be_made_and_namespaces_not():
    (clone,) = rules_for(built_in(HOST), "clone")
    (argument,) = clone["args"]
    assert argument["op"] == "SCMP_CMP_MASKED_EQ"
    new_namespaces = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
    assert all(flag & argument["value"] for flag in new_namespaces)
    thread = 0x3D0F00
    assert thread & argument["value"] == argument["valueTwo"] == 0
    (clone3,) = rules_for(built_in(HOST), "clone3")
    assert (clone3["action"], clone3["errnoRet"]) == ("SCMP_ACT_ERRNO", 38)


def test_sockets_are_for_the_network_only():
    allowed = {rule["args"][0]["value"] for rule in rules_for(built_in(HOST), "socket")}
    vsock, kernel_ciphers, packets = 40, 38, 17
    assert not {vsock, kernel_ciphers, packets} & allowed
    assert {1, 2, 10} <= allowed


def test_only_the_hosts_own_architecture_is_let_in():
    assert built_in(HOST)["architectures"] == ["SCMP_ARCH_X86_64"]
    assert built_in(Host("aarch64", (6, 1)))["architectures"] == ["SCMP_ARCH_AARCH64"]
    with pytest.raises(ConfigError, match="riscv64"):
        built_in(Host("riscv64", (6, 1)))


def test_a_kernel_release_is_read_up_to_its_minor_number():
    assert Host.of("x86_64", "6.18.44-fc-v445").kernel == (6, 18)
    assert Host.of("x86_64", "unknown").kernel == (0, 0)


DOCKER = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 1,
    "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ],
    "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "x", "includes": {}},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
        {"names": ["modify_ldt"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {"names": ["futurecall"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "9.0"}},
        {
            "name": "clone3",
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": 38,
            "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}],
        },
    ],
}


def test_a_profile_in_dockers_format_is_decided_for_a_worker_on_this_host():
    profile = from_docker(DOCKER, HOST)
    assert profile["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
    names = [name for rule in profile["syscalls"] for name in rule["names"]]
    assert names == ["read", "clone", "arch_prctl", "ptrace", "clone3"]
    assert profile["syscalls"][0] == {"names": ["read"], "action": "SCMP_ACT_ALLOW"}
    assert profile["syscalls"][-1]["args"] == [{"index": 0, "value": 8, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]


def test_a_profile_is_read_from_its_file_or_left_out_by_name(tmp_path):
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(DOCKER))
    assert load_profile(str(file), HOST) == from_docker(DOCKER, HOST)
    assert load_profile("unconfined", HOST) is None
    assert load_profile("", HOST) == built_in(HOST)


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        "{}",
        '{"defaultAction": "SCMP_ACT_PERHAPS"}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_ERRNO"}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {"names": []}}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_S390X"]}',
    ],
)
def test_a_file_that_is_no_profile_stops_the_agent_and_is_named(tmp_path, text):
    file = tmp_path / "profile.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"ESB_SECCOMP_PROFILE: .*profile\.json"):
        load_profile(str(file), HOST)


def test_a_missing_file_stops_the_agent():
    with pytest.raises(ConfigError, match="No such file"):
        load_profile("/nowhere/profile.json", HOST)
