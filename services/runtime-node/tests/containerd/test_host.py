"""What `up` asks of a host before it makes anything there: the doctor's checks, of the parts it runs."""

import pytest
from attrs import evolve
from esb_node.containerd.host import modes_of, require_host
from esb_node.containerd.plan import NODE_SERVICES, RUNTIMES, SERVICES
from esb_node.doctor_checks import CHECKS
from esb_node.doctor_facts import Facts, examine
from esb_node.doctor_observe import PROGRAMS
from esb_node.errors import NodeError

GVISOR, FIRECRACKER = "io.containerd.runsc.v1", "aws.firecracker"
GOOD = Facts(
    root=True,
    programs={name: f"/usr/bin/{name}" for name in PROGRAMS},
    versions={"containerd": "1.6.20"},
    cni_plugins=frozenset({"bridge", "host-local", "loopback"}),
    cgroup_version=2,
    controllers=frozenset({"cpu", "memory", "pids"}),
    filesystems=frozenset({"overlay"}),
    identity="orders",
)


def lacking(facts, services=SERVICES, runtime="runc"):
    """The checks that refuse, by name."""
    try:
        require_host(services, runtime, facts)
    except NodeError as error:
        head, *found = str(error).splitlines()
        assert head == "this host lacks what containerd mode needs"
        return [line.strip().partition(":")[0] for line in found]
    return []


def without(*names):
    return evolve(GOOD, programs={name: path for name, path in GOOD.programs.items() if name not in names})


def test_a_host_that_has_everything_is_taken():
    assert lacking(GOOD) == []


def test_all_that_is_missing_is_told_at_once_with_what_brings_it():
    facts = evolve(without("runc", "dnsmasq"), root=False)
    assert lacking(facts) == ["root", "runc", "dnsmasq", "forwarding"]
    with pytest.raises(NodeError, match=r"dnsmasq: not on PATH; install dnsmasq \(package dnsmasq-base\)"):
        require_host(SERVICES, "runc", facts)


@pytest.mark.parametrize(
    ("services", "found"),
    [
        (("containerd",), ["containerd", "ctr", "runc", "shim", "ip", "firewall", "cgroups", "identity"]),
        (("dns",), ["dnsmasq", "ip", "firewall", "cgroups", "identity"]),
        (("agent",), ["cni plugins", "ip", "firewall", "cgroups", "identity"]),
    ],
)
def test_parts_that_run_elsewhere_are_not_asked_for(services, found):
    assert lacking(Facts(root=True), services) == found


def test_what_is_found_out_as_the_box_is_laid_refuses_nothing_before():
    taken = '[{"dst": "10.88.0.0/16", "dev": "esb-earlier"}]'
    assert lacking(evolve(GOOD, routes=taken, filesystems=frozenset())) == []


def test_a_sandbox_is_asked_for_where_workers_are_started():
    assert lacking(without("runsc"), runtime=GVISOR) == ["runsc"]
    assert lacking(without("runsc"), NODE_SERVICES) == []
    assert lacking(without("runsc"), ("dns",), GVISOR) == []
    assert "thin-pool" in lacking(GOOD, runtime=FIRECRACKER)


def test_up_and_doctor_say_the_same_of_every_runtime():
    for runtime in RUNTIMES:
        facts = Facts()
        checks = [check for mode in modes_of(runtime) for check in CHECKS[mode]]
        failed = {one.name for one in examine(facts, tuple(checks)) if one.needed and not one.passed}
        assert set(lacking(facts, runtime=runtime)) == failed - {"overlayfs"}
