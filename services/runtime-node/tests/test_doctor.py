"""What each requirement says of a host that has it and of one that has not, and the command over this one."""

import json
import os

import pytest
from attrs import evolve
from click.testing import CliRunner
from esb_node.cli import command
from esb_node.doctor_checks import CHECKS
from esb_node.doctor_devices import kernel_image, opens, parse_processor
from esb_node.doctor_facts import MODES, Facts, Kvm, examine, healthy, number
from esb_node.doctor_observe import PROGRAMS, observe, parse_controllers
from hypothesis import given
from hypothesis import strategies as st

V1 = frozenset({"cpu", "devices", "freezer", "memory", "pids"})
GOOD = Facts(
    root=True,
    programs={name: f"/usr/bin/{name}" for name in PROGRAMS},
    versions={"containerd": "1.7.24"},
    modules=frozenset({"esb_agent", "esb_gateway", "esb_provisioner", "moto"}),
    engine="26.1.5",
    compose="2.26.1",
    buildx="0.13.1",
    registry="127.0.0.1:5010",
    cni_plugins=frozenset({"bridge", "host-local", "loopback"}),
    cgroup_version=2,
    controllers=frozenset({"cpu", "memory", "pids"}),
    forwarding=True,
    filesystems=frozenset({"overlay"}),
    identity="orders",
    bridge="esb-orders",
    kvm=Kvm(extension="vmx"),
    thin_pools=("pool",),
    kernel_image="/boot/guest",
)


def without(name):
    return {"programs": {key: path for key, path in GOOD.programs.items() if key != name}}


def routes(*found):
    return json.dumps(found)


def failing(facts, mode):
    found = examine(facts, CHECKS[mode])
    assert healthy(found) == all(one.passed for one in found if one.needed)
    assert all(bool(one.remedy) is not one.passed for one in found)
    return [one.name for one in found if not one.passed]


@pytest.mark.parametrize("mode", MODES)
def test_a_host_that_has_everything_is_ready(mode):
    assert failing(GOOD, mode) == []


@pytest.mark.parametrize(
    ("mode", "fault", "name"),
    [
        ("process", {"system": "Darwin"}, "linux"),
        ("process", {"python": (3, 10)}, "python"),
        ("process", {"modules": frozenset({"esb_agent"})}, "parts"),
        ("docker", {"engine": ""}, "engine"),
        ("docker", {"engine": "20.10.24+dfsg1"}, "engine"),
        ("docker", {"compose": "2.23.3"}, "compose"),
        ("docker", {"buildx": ""}, "buildx"),
        ("docker", {"registry": ""}, "registry"),
        ("docker", {"registry_error": "refused"}, "registry"),
        ("docker", {"identity": ""}, "identity"),
        ("containerd", {"root": False}, "root"),
        ("containerd", without("containerd"), "containerd"),
        ("containerd", {"versions": {"containerd": "1.5.9"}}, "containerd"),
        ("containerd", without("ctr"), "ctr"),
        ("containerd", without("runc"), "runc"),
        ("containerd", without("containerd-shim-runc-v2"), "shim"),
        ("containerd", {"cni_plugins": frozenset({"bridge"})}, "cni plugins"),
        ("containerd", without("dnsmasq"), "dnsmasq"),
        ("containerd", without("ip"), "ip"),
        ("containerd", {"programs": {"ip": "/ip"}}, "firewall"),
        ("containerd", {"controllers": frozenset({"cpu", "pids"})}, "cgroups"),
        ("containerd", {"cgroup_version": 1}, "cgroups"),
        ("containerd", {"cgroup_version": 1, "controllers": V1 - {"devices"}}, "cgroups"),
        ("containerd", {"cgroup_version": 1, "controllers": V1 - {"freezer"}}, "cgroups"),
        ("containerd", {"cgroup_version": 0, "controllers": frozenset()}, "cgroups"),
        ("containerd", {"root": False, "forwarding": False}, "forwarding"),
        ("containerd", {"filesystems": frozenset()}, "overlayfs"),
        ("containerd", {"routes": routes({"dst": "10.88.3.0/24", "dev": "eth0"})}, "subnet"),
        ("containerd", {"subnet": "10.0.0.1/8"}, "subnet"),
        ("containerd", {"identity": ""}, "identity"),
        ("gvisor", without("runsc"), "runsc"),
        ("gvisor", {"programs": {"runsc": "/runsc"}}, "shim"),
        ("gvisor", {"runsc_wrapper": "/none"}, "shim"),
        ("gvisor", {"kernel": (4, 4)}, "platform"),
        ("firecracker", {"kvm": Kvm(error="/dev/kvm: No such file or directory")}, "kvm"),
        ("firecracker", {"kvm": Kvm(hypervisor=True)}, "kvm"),
        ("firecracker", {"vsock_error": "/dev/vhost-vsock: No such file or directory"}, "vhost-vsock"),
        ("firecracker", {"thin_pools": ()}, "thin-pool"),
        ("firecracker", {"wanted_pool": "other"}, "thin-pool"),
        ("firecracker", without("containerd-shim-aws-firecracker"), "shim"),
        ("firecracker", without("firecracker"), "firecracker"),
        ("firecracker", {"kernel_image_error": "/boot/guest: is no kernel"}, "kernel image"),
    ],
)
def test_each_fault_fails_its_check(mode, fault, name):
    assert name in failing(evolve(GOOD, **fault), mode)


def test_paravirtual_kvm_is_told_apart_from_none():
    found = {
        fault: next(iter(examine(evolve(GOOD, kvm=kvm), CHECKS["firecracker"]))).found
        for fault, kvm in (("none", Kvm(error="/dev/kvm: No such file")), ("para", Kvm(hypervisor=True)))
    }
    assert found["none"] == "/dev/kvm: No such file"
    assert found["para"].startswith("paravirtual: ")
    assert found["para"].endswith("under a hypervisor")


def test_what_a_mode_can_go_without_does_not_fail_it():
    assert healthy(examine(evolve(GOOD, registry=""), CHECKS["docker"]))


def test_the_boxs_own_bridge_and_the_default_route_do_not_take_its_subnet():
    found = routes({"dst": "10.88.0.0/16", "dev": "esb-orders"}, {"dst": "default", "dev": "eth0"})
    assert failing(evolve(GOOD, routes=found), "containerd") == []


def test_control_groups_of_either_version_will_do():
    assert failing(evolve(GOOD, cgroup_version=1, controllers=V1), "containerd") == []


def test_a_controller_counts_when_it_is_on_and_mounted():
    table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t3\t1\t1\npids\t4\t1\t0\ncpu\t2\t1\t1\n"
    mounts = (
        "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\ncgroup /sys/fs/cgroup/pids cgroup rw,pids 0 0\n"
    )
    assert parse_controllers(table, mounts) == {"memory"}


def test_a_processor_shows_its_virtualization():
    assert parse_processor("flags\t\t: fpu vmx hypervisor\n") == ("vmx", True)
    assert parse_processor("flags\t\t: fpu svm\n") == ("svm", False)
    assert parse_processor("") == ("", False)


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        (b"\x7fELF", ""),
        (b"\0" * 56 + b"ARM\x64", ""),
        (b"MZ", "is no uncompressed kernel"),
        (None, "No such file"),
    ],
)
def test_a_guests_kernel_is_looked_into(tmp_path, head, fault):
    image = tmp_path / "vmlinux"
    if head is not None:
        image.write_bytes(head)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"kernel_image_path": str(image)}))
    _, error = kernel_image({"FIRECRACKER_CONTAINERD_RUNTIME_CONFIG_PATH": str(config)})
    assert fault in error
    assert bool(fault) == bool(error)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"kernel_image_path": 1}'])
def test_a_wrong_shim_configuration_is_said(tmp_path, text):
    config = tmp_path / "config.json"
    config.write_text(text)
    assert str(config) in kernel_image({"FIRECRACKER_CONTAINERD_RUNTIME_CONFIG_PATH": str(config)})[1]


def test_a_device_is_really_opened(tmp_path):
    assert opens(tmp_path / "none") == f"{tmp_path}/none: No such file or directory"
    (tmp_path / "device").touch()
    assert opens(tmp_path / "device") == ""


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4), st.sampled_from(["", "-rc1", "+dfsg1", "~ds1"]))
def test_a_versions_leading_numbers_are_read(numbers, rest):
    assert number("v" + ".".join(map(str, numbers)) + rest) == tuple(numbers)


def test_the_command_says_what_it_saw_and_exits_by_what_is_needed():
    runner = CliRunner(env={"ESB_BRAND_SLUG": "orders", "CONTAINER_REGISTRY": ""})
    done = runner.invoke(
        command, ["doctor", "--mode", "firecracker", "--mode", "process", "--output", "json"]
    )
    told = json.loads(done.stdout)
    assert list(told["ready"]) == ["process", "firecracker"]
    assert {one["mode"] for one in told["checks"]} == {"process", "firecracker"}
    assert all(one["passed"] or one["remedy"] for one in told["checks"])
    assert done.exit_code == (0 if all(told["ready"].values()) else 4)

    text = runner.invoke(command, ["doctor", "--mode", "process"])
    assert text.stdout.startswith("process: ")
    assert text.exit_code == (0 if told["ready"]["process"] else 4)


def test_only_what_a_mode_needs_is_looked_at():
    facts = observe(os.environ, ("containerd",))
    assert (facts.engine, facts.kvm) == ("", Facts().kvm)
    assert not {"runsc", "firecracker"} & set(facts.versions)


def test_nothing_is_hidden_of_an_identity_that_lacks():
    assert "ESB_BRAND_SLUG" in observe({"PATH": os.environ["PATH"]}).identity_error
