"""The doctor's look at this host: files, devices, programs' answers. Judges nothing, changes nothing."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from pathlib import Path

from artifact_contract.runtime_identity import IdentityError, resolve_identity
from attrs import evolve

from esb_node.containerd.commands import find, lines
from esb_node.doctor_devices import kernel_image, observe_kvm, opens, thin_pools
from esb_node.doctor_facts import MODES, Facts

PROGRAMS = (
    *("containerd", "ctr", "runc", "containerd-shim-runc-v2", "dnsmasq", "ip", "nft", "iptables"),
    *("runsc", "containerd-shim-runsc-v1", "containerd-shim-aws-firecracker", "firecracker", "dmsetup"),
)
# Which of them are asked for their version, for which mode.
ASKED = {
    "containerd": ("containerd", "runc", "dnsmasq"),
    "gvisor": ("runsc",),
    "firecracker": ("firecracker",),
}
PARTS = ("esb_agent", "esb_gateway", "esb_provisioner", "moto")
_SECONDS = 10.0
_VERSION = re.compile(r"v?(\d+\.\d+[\w.+~-]*)")


def observe(environment: Mapping[str, str], modes: Collection[str] = MODES) -> Facts:
    """What the checks of these modes look at; takes a second where an engine is asked."""
    system = platform.uname()
    kernel = [int(number) for number in re.findall(r"\d+", system.release)[:2]]
    programs = {name: found for name in PROGRAMS if (found := find(name))}
    asked = {name for mode in modes for name in ASKED.get(mode, ())}
    version, controllers = _cgroups()
    cni = environment.get("ESB_CNI_BIN_DIR") or "/usr/lib/cni"
    wrapper = environment.get("ESB_RUNSC_BINARY", "")
    slug, bridge, nobody = _identity(environment)
    facts = Facts(
        system=system.system,
        kernel=(kernel[0], kernel[1]),
        machine=system.machine,
        python=sys.version_info[:2],
        root=os.geteuid() == 0,
        programs=programs,
        versions={name: _version(programs[name], "--version") for name in asked & set(programs)},
        modules=frozenset(name for name in PARTS if importlib.util.find_spec(name)),
        cni_directory=cni,
        cni_plugins=frozenset(path.name for path in Path(cni).glob("*") if os.access(path, os.X_OK)),
        cgroup_version=version,
        controllers=controllers,
        forwarding=_read(Path("/proc/sys/net/ipv4/ip_forward")).strip() == "1",
        filesystems=frozenset(
            words[-1] for line in _read(Path("/proc/filesystems")).splitlines() if (words := line.split())
        ),
        subnet=environment.get("ESB_CNI_SUBNET", ""),
        routes="".join(lines(["ip", "-json", "-4", "route", "show"])),
        identity=slug,
        bridge=bridge,
        identity_error=nobody,
        runsc_wrapper=wrapper,
        runsc_wrapper_runs=bool(wrapper) and os.access(wrapper, os.X_OK),
    )
    facts = _with_engine(facts, environment) if "docker" in modes else facts
    return _with_devices(facts, environment) if "firecracker" in modes else facts


def _with_engine(facts: Facts, environment: Mapping[str, str]) -> Facts:
    registry = environment.get("CONTAINER_REGISTRY", "")
    return evolve(
        facts,
        engine=_version("docker", "version", "--format", "{{.Server.Version}}"),
        compose=_version("docker", "compose", "version", "--short"),
        buildx=_version("docker", "buildx", "version"),
        registry=registry,
        registry_error=_registry_error(registry) if registry else "",
    )


def _with_devices(facts: Facts, environment: Mapping[str, str]) -> Facts:
    image, image_error = kernel_image(environment)
    return evolve(
        facts,
        kvm=observe_kvm(),
        vsock_error=opens(Path("/dev/vhost-vsock")),
        thin_pools=thin_pools(facts.programs.get("dmsetup", "")),
        wanted_pool=environment.get("ESB_DEVMAPPER_POOL", ""),
        kernel_image=image,
        kernel_image_error=image_error,
    )


def parse_controllers(table: str, mounts: str) -> frozenset[str]:
    """Controllers of version 1 that are on and mounted, of /proc/cgroups and /proc/self/mounts."""
    rows = [line.split() for line in table.splitlines() if not line.startswith("#")]
    on = {row[0] for row in rows if len(row) == 4 and row[3] == "1"}
    options: set[str] = set()
    for line in mounts.splitlines():
        words = line.split()
        if len(words) > 3 and words[2] == "cgroup":
            options |= set(words[3].split(","))
    return frozenset(on & options)


def _cgroups() -> tuple[int, frozenset[str]]:
    unified = _read(Path("/sys/fs/cgroup/cgroup.controllers"))
    if unified:
        return 2, frozenset(unified.split())
    found = parse_controllers(_read(Path("/proc/cgroups")), _read(Path("/proc/self/mounts")))
    return (1, found) if found else (0, frozenset())


def _identity(environment: Mapping[str, str]) -> tuple[str, str, str]:
    try:
        found = resolve_identity(environment, environment.get("ESB_DOCKER_NETWORK", ""))
    except IdentityError as error:
        return "", "", str(error)
    return found.slug, found.bridge, ""


def _registry_error(registry: str) -> str:
    """Return "" when it answers; a demand for credentials is an answer."""
    host = registry.partition("/")[0]
    scheme = "http" if host.startswith(("127.", "localhost", "[::1]")) else "https"
    try:
        with urllib.request.urlopen(f"{scheme}://{host}/v2/", timeout=5):  # noqa: S310 - http or https only
            return ""
    except urllib.error.HTTPError as error:
        return "" if error.code in (401, 403) else f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__


def _version(program: str, *words: str) -> str:
    """Return what it prints as its version, or ""."""
    try:
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout) if done.returncode == 0 else None
    return found[1] if found else ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
