"""What this host must have before a containerd box is laid; each problem says how it is mended."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

from esb_node.containerd.commands import find
from esb_node.errors import MissingPartsError, NodeError
from esb_node.parts import AGENT, DNS, ENGINE

_V2 = ("cpu", "memory", "pids")
_V1 = ("cpu", "devices", "freezer", "memory", "pids")
_CGROUPS = Path("/sys/fs/cgroup")
_PROGRAMS = {
    ENGINE: {"containerd": "containerd", "ctr": "containerd", "runc": "runc"},
    DNS: {"dnsmasq": "dnsmasq-base"},
    AGENT: {},
}


def require_host(services: Collection[str], gvisor: bool) -> None:
    """Check rights, programs and control groups.

    Raises:
        NodeError: names everything that is missing, with the packages of Debian that bring it.
    """
    if os.geteuid() != 0:
        raise NodeError("containerd mode makes a bridge, mounts and namespaces: it must be started as root")
    if lacking := missing_programs(services, gvisor, find):
        raise MissingPartsError(
            f"programs of containerd mode are not installed: {', '.join(sorted(lacking))}"
            f" (apt-get install --no-install-recommends {' '.join(sorted(set(lacking.values())))})"
        )
    if lacking_groups := missing_controllers(_CGROUPS):
        raise NodeError(
            f"this host lacks control groups that limit workers: {', '.join(lacking_groups)};"
            " mount them, or boot with systemd.unified_cgroup_hierarchy=1"
        )


def missing_programs(
    services: Collection[str], gvisor: bool, find: Callable[[str], str | None]
) -> dict[str, str]:
    """The programs that are not there, with the package that brings each."""
    needed = {"ip": "iproute2"}
    for service in services:
        needed |= _PROGRAMS.get(service, {})
    if gvisor:
        needed["runsc"] = "runsc"
    lacking = {program: package for program, package in needed.items() if find(program) is None}
    if find("nft") is None and find("iptables") is None:
        lacking["nft"] = "nftables"
    return lacking


def missing_controllers(root: Path) -> list[str]:
    """The control groups that can't be used, of version 2 or of version 1, whichever the host has."""
    unified = root / "cgroup.controllers"
    if unified.exists():
        there = unified.read_text("utf-8").split()
        return [name for name in _V2 if name not in there]
    return [name for name in _V1 if not (root / name / "cgroup.procs").exists()]
