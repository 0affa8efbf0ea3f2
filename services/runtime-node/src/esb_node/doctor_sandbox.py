"""What gVisor and Firecracker need beyond mode containerd. docs/firecracker.md says what follows from it."""

from __future__ import annotations

from functools import partial

from esb_node.doctor_facts import Check, Facts, Verdict, program

GVISOR_SHIM, FIRECRACKER_SHIM = "containerd-shim-runsc-v1", "containerd-shim-aws-firecracker"
# Below it the system calls that systrap catches workers with do not exist.
LEAST_GVISOR_KERNEL = (4, 15)
MACHINES = ("x86_64", "aarch64")


def gvisor_shim(facts: Facts) -> Verdict:
    """Pass with the shim, a wrapper that runs, or runsc alone: then the agent writes the wrapper."""
    if facts.runsc_wrapper:
        fault = "" if facts.runsc_wrapper_runs else ": cannot be run"
        return Verdict(facts.runsc_wrapper_runs, f"ESB_RUNSC_BINARY={facts.runsc_wrapper}{fault}")
    if facts.has(GVISOR_SHIM):
        return Verdict(True, facts.programs[GVISOR_SHIM])
    there = facts.has("runsc") and facts.has("containerd-shim-runc-v2")
    return Verdict(there, "runc's shim with a wrapper of runsc" if there else "neither shim nor wrapper")


def gvisor_platform(facts: Facts) -> Verdict:
    """Pass where systrap runs: it needs no virtualization, but a kernel that is not too old."""
    fits = facts.kernel >= LEAST_GVISOR_KERNEL and facts.machine in MACHINES
    return Verdict(fits, f"systrap on {facts.machine}, kernel {facts.kernel[0]}.{facts.kernel[1]}")


def kvm(facts: Facts) -> Verdict:
    """Pass when a virtual processor can be made on real virtualization: a device alone is no proof."""
    if facts.kvm.error:
        return Verdict(False, facts.kvm.error)
    if facts.kvm.extension or facts.machine == "aarch64":
        return Verdict(True, f"a virtual processor was made, {facts.kvm.extension or 'EL2'}")
    where = "under a hypervisor" if facts.kvm.hypervisor else "on bare metal"
    return Verdict(
        False, f"paravirtual: /dev/kvm answers, but the processor shows no vmx and no svm, {where}"
    )


def vsock(facts: Facts) -> Verdict:
    """Pass when the device can be opened; agent and microVM talk over it."""
    return Verdict(not facts.vsock_error, facts.vsock_error or "/dev/vhost-vsock opens")


def thin_pool(facts: Facts) -> Verdict:
    """Pass when the devmapper snapshotter's pool is active."""
    if facts.wanted_pool:
        there = facts.wanted_pool in facts.thin_pools
        return Verdict(there, f"{facts.wanted_pool} is " + ("active" if there else "not active"))
    return Verdict(bool(facts.thin_pools), ", ".join(facts.thin_pools) or "no active thin-pool")


def kernel_image(facts: Facts) -> Verdict:
    """Pass when the guest's kernel is a file of the right form."""
    return Verdict(not facts.kernel_image_error, facts.kernel_image_error or facts.kernel_image)


_gvisor, _firecracker = partial(Check, mode="gvisor"), partial(Check, mode="firecracker")

GVISOR = (
    _gvisor(name="runsc", look=program("runsc"), remedy="install runsc (package runsc)"),
    _gvisor(
        name="shim",
        look=gvisor_shim,
        remedy=f"install {GVISOR_SHIM}, or runsc and containerd-shim-runc-v2, or set ESB_RUNSC_BINARY",
    ),
    _gvisor(name="platform", look=gvisor_platform, remedy="a kernel from 4.15 on, x86_64 or aarch64"),
)
FIRECRACKER = (
    _firecracker(
        name="kvm",
        look=kvm,
        remedy="a bare-metal host, or one whose hypervisor passes vmx/svm on (nested virtualization)",
    ),
    _firecracker(name="vhost-vsock", look=vsock, remedy="modprobe vhost_vsock, and open it as root"),
    _firecracker(
        name="thin-pool",
        look=thin_pool,
        remedy="make a device-mapper thin-pool, and name it in ESB_DEVMAPPER_POOL",
    ),
    _firecracker(
        name="shim",
        look=program(FIRECRACKER_SHIM),
        remedy="install the shim of firecracker-containerd on PATH",
    ),
    _firecracker(name="firecracker", look=program("firecracker"), remedy="install firecracker on PATH"),
    _firecracker(
        name="kernel image",
        look=kernel_image,
        remedy="name an uncompressed guest kernel as kernel_image_path in the shim's configuration",
    ),
)
