"""Which shim runs a worker: runc, gVisor, Firecracker; and what of it this host lacks.

gVisor has a shim of its own, which Debian does not bring. Without it runc's shim starts `runsc` in runc's
place, through a wrapper that tells it how: on the quickest platform that needs no virtualization, and with
the network of the worker's own namespace, as its own network stack does not start everywhere.
"""

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from esb_agent.drivers.containerd.client import Runtime
from esb_agent.drivers.containerd.settings import FIRECRACKER, GVISOR, RUNC, SANDBOXES, ContainerdConfig
from esb_agent.errors import BadRequestError, ConfigError

GVISOR_SHIM, FIRECRACKER_SHIM = "containerd-shim-runsc-v1", "containerd-shim-aws-firecracker"
# Apart from runc's: each would stumble over the other's files.
RUNSC_ROOT = "/run/containerd/runsc"
PROBE_SECONDS = 20.0
DEVICES = (Path("/dev/kvm"), Path("/dev/vhost-vsock"))


class Runtimes:
    """Those of this host. `find` says where a program is, as `shutil.which` does."""

    def __init__(
        self,
        config: ContainerdConfig,
        find: Callable[[str], str | None] = shutil.which,
        devices: tuple[Path, ...] = DEVICES,
    ) -> None:
        self._config = config
        self._find = find
        self._devices = devices
        self._binary = str(config.runsc or "")

    def check(self) -> None:
        """Make ready what stands in runc's place. Blocks for some milliseconds.

        Raises:
            ConfigError: the configured one cannot run here; the text says all that is missing.
        """
        if not self._binary and not self._find(GVISOR_SHIM) and (runsc := self._find("runsc")):
            self._binary = str(self._write_wrapper(runsc))
        if missing := self.missing(self._config.runtime):
            raise ConfigError(f"CONTAINERD_RUNTIME={self._config.runtime}: missing {'; '.join(missing)}")

    def missing(self, runtime: str) -> list[str]:
        """What this host lacks for a runtime."""
        if runtime == GVISOR:
            if self._find(GVISOR_SHIM) or (self._binary and self._find(self._binary)):
                return []
            if self._binary:
                return [f"{self._binary}, a program (ESB_RUNSC_BINARY)"]
            return [f"{GVISOR_SHIM} or runsc on PATH (or ESB_RUNSC_BINARY)"]
        if runtime == FIRECRACKER:
            found = [] if self._find(FIRECRACKER_SHIM) else [f"{FIRECRACKER_SHIM} on PATH"]
            return found + [str(device) for device in self._devices if not device.exists()]
        return []

    def name_of(self, sandbox: str) -> str:
        """The runtime of a function's `sandbox`; "" is the configured one. Raises BadRequestError."""
        if not sandbox:
            return self._config.runtime
        runtime = SANDBOXES.get(sandbox)
        if not runtime:
            raise BadRequestError(f"sandbox: expected one of {', '.join(SANDBOXES)}, found {sandbox!r}")
        if runtime != self._config.runtime and (missing := self.missing(runtime)):
            raise BadRequestError(f"sandbox {sandbox}: this host is missing {'; '.join(missing)}")
        return runtime

    def shim(self, runtime: str) -> Runtime:
        """What containerd is told of a runtime."""
        if runtime != GVISOR:
            return Runtime(name=runtime)
        if self._find(GVISOR_SHIM):
            return Runtime(name=GVISOR)
        return Runtime(name=RUNC, binary=self._binary, root=RUNSC_ROOT)

    def _write_wrapper(self, runsc: str) -> Path:
        path = self._config.state_dir / "runsc"
        try:
            said = subprocess.run(
                [runsc, "flags"], check=False, capture_output=True, text=True, timeout=PROBE_SECONDS
            )
            # Never half there: shims of living workers call it.
            new = path.with_suffix(".new")
            new.write_text(wrapper(runsc, said.stdout + said.stderr), encoding="utf-8")
            new.chmod(0o700)
            new.replace(path)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(f"{runsc}: cannot be made ready: {error}") from error
        return path


def wrapper(runsc: str, flags: str) -> str:
    """A script that is called as runc is and runs gVisor; `flags` is what `runsc flags` prints.

    systrap is the quickest platform without virtualization; a runsc from before 2023 has ptrace only.
    """
    platform = "systrap" if "systrap" in flags else "ptrace"
    return f'#!/bin/sh\nexec {shlex.quote(runsc)} --platform={platform} --network=host "$@"\n'
