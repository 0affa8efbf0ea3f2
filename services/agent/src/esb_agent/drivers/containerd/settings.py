"""What the driver is told: where containerd is, what its things are called, which sandbox workers run in.

Apart from the driver, so that reading the configuration does not load it.
"""

from ipaddress import IPv4Network
from pathlib import Path

from artifact_contract.runtime_identity import RuntimeIdentity
from attrs import frozen

from esb_agent.drivers.docker.settings import PullPolicy

RUNC, GVISOR, FIRECRACKER = "io.containerd.runc.v2", "io.containerd.runsc.v1", "aws.firecracker"
# As CONTAINERD_RUNTIME has them, and as a function's `sandbox` has them.
RUNTIMES = {"runc": RUNC, RUNC: RUNC, GVISOR: GVISOR, FIRECRACKER: FIRECRACKER}
SANDBOXES = {"runc": RUNC, "gvisor": GVISOR, "firecracker": FIRECRACKER}
SUBNET = IPv4Network("10.88.0.0/16")
# The devices of its microVMs are made by no other snapshotter.
FIRECRACKER_SNAPSHOTTER = "devmapper"


@frozen(kw_only=True)
class ContainerdConfig:
    """`runtime` is what workers run in unless their function says otherwise.

    `dns` are the name servers of workers; none: the bridge's address. `seccomp` is the path of a profile in
    Docker's format, `unconfined`, or "" for the built-in one. `insecure` names registries spoken to without
    TLS beside those of this host. `runsc` is what stands for runc under gVisor where it has no shim.
    """

    state_dir: Path
    identity: RuntimeIdentity
    address: str = "/run/esb/containerd/containerd.sock"
    runtime: str = RUNC
    snapshotter: str = "overlayfs"
    runsc: Path | None = None
    cni_bin_dir: Path = Path("/usr/lib/cni")
    subnet: IPv4Network = SUBNET
    dns: tuple[str, ...] = ()
    netns_pool: int = 8
    seccomp: str = ""
    pull: PullPolicy = PullPolicy.MISSING
    auth_file: Path | None = None
    insecure: frozenset[str] = frozenset()
    ca: Path | None = None
    init_seconds: float = 10.0
    log_max_bytes: int = 10 * 1024 * 1024
    log_backups: int = 3

    @property
    def bridge_address(self) -> str:
        """The first of the subnet: where the box's services answer workers."""
        return str(self.subnet[1])

    @property
    def name_servers(self) -> tuple[str, ...]:
        """What stands in workers' resolv.conf."""
        return self.dns or (self.bridge_address,)
