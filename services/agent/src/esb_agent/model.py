"""What a worker is, in our words: the values between gRPC, fleet and drivers."""

import hashlib
import json
from collections.abc import Mapping
from enum import Enum

from attrs import asdict, field, frozen

NO_ENVIRONMENT: Mapping[str, str] = {}


class WorkerState(Enum):
    """Where in its life a worker is; only a READY one takes a call."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    PAUSED = "paused"
    EXITED = "exited"


@frozen(kw_only=True)
class FunctionSpec:
    """What to run and within which limits. `cmd` wins over `handler`, `handler` over the image's command.

    `sandbox` is `runc`, `gvisor` or `firecracker`; empty: the driver's own.
    """

    name: str
    image: str
    handler: str = ""
    runtime: str = ""
    timeout_ms: int = 3000
    memory_mb: int = 128
    environment: Mapping[str, str] = field(default=NO_ENVIRONMENT, repr=False)
    cmd: tuple[str, ...] = ()
    sandbox: str = ""

    def digest(self) -> str:
        """Equal for equal specs, over restarts: what EnsureWorker compares."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@frozen(kw_only=True)
class Identity:
    """Whose worker it is, and which; `fingerprint` is the owner's mark, kept and never read."""

    owner_id: str
    worker_id: str
    fingerprint: str = ""


@frozen(kw_only=True)
class Worker:
    """A worker as it stands. `address` is where calls are POSTed; `exit_reason` is set when EXITED."""

    identity: Identity
    function: str
    image: str
    spec_digest: str
    state: WorkerState
    address: str
    created_unix_ms: int
    init_ms: int = 0
    exit_reason: str = ""


@frozen(kw_only=True)
class WorkerMetrics:
    """What a worker uses, with all it started."""

    rss_bytes: int
    rss_peak_bytes: int
    cpu_seconds: float
    uptime_seconds: float
    invocations: int
    errors: int
    processes: int
