"""What Firecracker stands on, really tried: KVM makes a processor, devices open, pools answer."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from esb_node.doctor_facts import Kvm

_KVM = Path("/dev/kvm")
# linux/kvm.h
_GET_API_VERSION, _CREATE_VM, _CREATE_VCPU = 0xAE00, 0xAE01, 0xAE41
_API_VERSION = 12
_SECONDS = 10.0
# Where the shim of firecracker-containerd looks, and the variable that says another place.
_SHIM_CONFIG = "/etc/containerd/firecracker-runtime.json"
_SHIM_VARIABLE = "FIRECRACKER_CONTAINERD_RUNTIME_CONFIG_PATH"
_ELF, _ARM_IMAGE, _ARM_OFFSET = b"\x7fELF", b"ARM\x64", 56


def observe_kvm() -> Kvm:
    """Make a virtual machine with one processor, and let it go again."""
    extension, hypervisor = parse_processor(_text(Path("/proc/cpuinfo")))
    return Kvm(error=_kvm_error(), extension=extension, hypervisor=hypervisor)


def parse_processor(text: str) -> tuple[str, bool]:
    """Which virtualization the processor shows, and whether it says itself that it is a guest's."""
    found = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    flags = set(found[1].split()) if found else set()
    return next((name for name in ("vmx", "svm") if name in flags), ""), "hypervisor" in flags


def _kvm_error() -> str:
    with ExitStack() as stack:
        try:
            device = os.open(_KVM, os.O_RDWR | os.O_CLOEXEC)
            stack.callback(os.close, device)
            version = fcntl.ioctl(device, _GET_API_VERSION, 0)
            if version != _API_VERSION:
                return f"{_KVM}: API version {version}, expected {_API_VERSION}"
            machine = fcntl.ioctl(device, _CREATE_VM, 0)
            stack.callback(os.close, machine)
            stack.callback(os.close, fcntl.ioctl(machine, _CREATE_VCPU, 0))
        except OSError as error:
            return f"{_KVM}: {error.strerror}"
    return ""


def opens(path: Path) -> str:
    """Return "" when it opens for reading and writing, else why not."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


def thin_pools(dmsetup: str) -> tuple[str, ...]:
    """Names of the active device-mapper thin-pools; `dmsetup` is the program, "" when there is none."""
    if not dmsetup:
        return ()
    words = [dmsetup, "status", "--target", "thin-pool"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return tuple(line.partition(":")[0] for line in lines if " thin-pool " in line)


def kernel_image(environment: Mapping[str, str]) -> tuple[str, str]:
    """The guest's kernel that the shim's configuration names, and "" or what is wrong with it."""
    config = Path(environment.get(_SHIM_VARIABLE) or _SHIM_CONFIG)
    try:
        named = json.loads(config.read_text())
        path = named.get("kernel_image_path", "") if isinstance(named, dict) else ""
        if not isinstance(path, str) or not path:
            return "", f"{config}: names no kernel_image_path"
        with Path(path).open("rb") as file:
            head = file.read(_ARM_OFFSET + len(_ARM_IMAGE))
    except OSError as error:
        return "", f"{error.filename}: {error.strerror}"
    except ValueError:
        return "", f"{config}: is no JSON"
    bootable = head.startswith(_ELF) or head[_ARM_OFFSET:] == _ARM_IMAGE
    return path, "" if bootable else f"{path}: is no uncompressed kernel"


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
