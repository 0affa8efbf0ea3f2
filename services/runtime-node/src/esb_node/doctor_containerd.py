"""What mode containerd needs of a host."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Network

from esb_node.containerd.routes import clashes
from esb_node.doctor_facts import Check, Facts, Verdict, number, program
from esb_node.parts import AGENT, DNS, ENGINE

PLUGINS = frozenset({"bridge", "host-local", "loopback"})
CONTROLLERS = frozenset({"cpu", "memory", "pids"})
# In version 2 these are no controllers: every group can be frozen, and devices are a program's matter.
ONLY_VERSION_1 = frozenset({"devices", "freezer"})
LEAST_CONTAINERD = (1, 6)
DEFAULT_SUBNET = "10.88.0.0/16"


def root(facts: Facts) -> Verdict:
    """Pass for root; namespaces, mounts and rules are made."""
    return Verdict(facts.root, "root" if facts.root else "not root")


def containerd(facts: Facts) -> Verdict:
    """Pass from 1.6 on."""
    path, said = facts.programs.get("containerd", ""), facts.versions.get("containerd", "")
    if not path:
        return Verdict(False, "not on PATH")
    return Verdict(number(said) >= LEAST_CONTAINERD, f"{path} {said or 'does not say its version'}")


def plugins(facts: Facts) -> Verdict:
    """Pass when bridge, host-local and loopback are where the agent looks for them."""
    missing = sorted(PLUGINS - facts.cni_plugins)
    return Verdict(not missing, facts.cni_directory + (f": no {', '.join(missing)}" if missing else ""))


def firewall(facts: Facts) -> Verdict:
    """Pass with either of the two tools."""
    found = [name for name in ("nft", "iptables") if facts.has(name)]
    return Verdict(bool(found), " and ".join(found) or "neither nft nor iptables")


def controllers(facts: Facts) -> Verdict:
    """Pass when memory, processes and CPU can be limited; version 1 has devices and freezer apart."""
    wanted = CONTROLLERS | (ONLY_VERSION_1 if facts.cgroup_version == 1 else frozenset())
    missing = sorted(wanted - facts.controllers)
    which = f"version {facts.cgroup_version}" if facts.cgroup_version else "no cgroups mounted"
    return Verdict(not missing, which + (f", no {', '.join(missing)}" if missing else ""))


def forwarding(facts: Facts) -> Verdict:
    """Pass when it is on, or may be switched on as the box comes up."""
    if facts.forwarding:
        return Verdict(True, "on")
    return Verdict(facts.root, "off; esb-node up switches it on" if facts.root else "off")


def overlay(facts: Facts) -> Verdict:
    """Pass when the kernel has it now; a module that isn't loaded is not seen."""
    there = "overlay" in facts.filesystems
    return Verdict(there, "known to the kernel" if there else "not in /proc/filesystems")


def subnet(facts: Facts) -> Verdict:
    """Pass when nothing but the box's own bridge has a route into the workers' subnet."""
    try:
        wanted = IPv4Network(facts.subnet or DEFAULT_SUBNET)
    except ValueError as error:
        return Verdict(False, str(error))
    taken = clashes(wanted, facts.bridge, facts.routes)
    return Verdict(not taken, f"{wanted}: " + (f"taken by {', '.join(taken)}" if taken else "free"))


_check = partial(Check, mode="containerd")

CONTAINERD = (
    _check(name="root", look=root, remedy="run esb-node and the agent as root"),
    _check(
        name="containerd",
        part=ENGINE,
        look=containerd,
        remedy="install containerd 1.6 or newer (package containerd)",
    ),
    _check(name="ctr", part=ENGINE, look=program("ctr"), remedy="install ctr (package containerd)"),
    _check(name="runc", part=ENGINE, look=program("runc"), remedy="install runc (package runc)"),
    _check(
        name="shim",
        part=ENGINE,
        look=program("containerd-shim-runc-v2"),
        remedy="install containerd-shim-runc-v2 (package containerd)",
    ),
    _check(
        name="cni plugins",
        part=AGENT,
        look=plugins,
        remedy="install package containernetworking-plugins, or say where they are: ESB_CNI_BIN_DIR",
    ),
    _check(
        name="dnsmasq",
        part=DNS,
        look=program("dnsmasq"),
        remedy="install dnsmasq (package dnsmasq-base)",
    ),
    _check(name="ip", look=program("ip"), remedy="install ip (package iproute2)"),
    _check(name="firewall", look=firewall, remedy="install nft (package nftables)"),
    _check(
        name="cgroups",
        look=controllers,
        remedy="mount cgroups and switch the controllers on; on Debian: kernel option cgroup_enable=memory",
    ),
    _check(name="forwarding", look=forwarding, remedy="sysctl net.ipv4.ip_forward=1"),
    _check(
        name="overlayfs",
        part=ENGINE,
        look=overlay,
        remedy="modprobe overlay, or set CONTAINERD_SNAPSHOTTER",
    ),
    _check(name="subnet", look=subnet, remedy="set ESB_CNI_SUBNET to a private network that is free here"),
)
