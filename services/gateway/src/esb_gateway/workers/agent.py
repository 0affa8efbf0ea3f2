"""The agent as the gateway sees it: start a worker, freeze it, end it, list them.

A port: a Protocol in the gateway's own words. `agent_grpc.py` fills it over gRPC, tests with a fake.
Calls do not pass here; they go to `WorkerInfo.address` (see worker_channel.py).
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Protocol

import orjson
from attrs import frozen


class AgentError(Exception):
    """The agent did not give a worker. Leaves say whose fault that is."""


class AgentUnavailableError(AgentError):
    """The agent cannot be reached, is stopping, or did not answer in time."""


class AgentRefusedError(AgentError):
    """The agent answered no: broken or missing image, bad specification, somebody else's worker."""


class InitFailedError(AgentError):
    """The function's own initialisation failed; `payload` is the runtime's error JSON."""

    def __init__(self, payload: bytes) -> None:
        super().__init__(payload.decode("utf-8", "replace"))
        self.payload = payload


@frozen
class WorkerSpec:
    """What a worker is made from. Two equal specs may share workers, two different ones never do."""

    function: str
    image: str
    handler: str = ""
    runtime: str = ""
    timeout_ms: int = 3000
    memory_mb: int = 128
    environment: tuple[tuple[str, str], ...] = ()
    sandbox: str = ""

    def fingerprint(self) -> str:
        """Return a short digest over all fields; the agent keeps it with the worker."""
        fields = (
            self.function,
            self.image,
            self.handler,
            self.runtime,
            self.timeout_ms,
            self.memory_mb,
            self.environment,
            self.sandbox,
        )
        return hashlib.sha256(orjson.dumps(fields)).hexdigest()[:16]


class WorkerState(Enum):
    """What a worker does, as the agent sees it."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    PAUSED = "paused"
    EXITED = "exited"


@frozen
class WorkerInfo:
    """A worker of ours. `address` is `unix:<path>` or `http://host:port`, `created` is epoch seconds."""

    worker_id: str
    function: str
    address: str
    fingerprint: str = ""
    state: WorkerState = WorkerState.READY
    created: float = 0.0


@frozen
class WorkerUsage:
    """What a worker and all it started take; `invocations` and `errors` as the agent counted them."""

    rss_bytes: int = 0
    rss_peak_bytes: int = 0
    cpu_seconds: float = 0.0
    uptime_seconds: float = 0.0
    invocations: int = 0
    errors: int = 0
    processes: int = 0


@frozen
class AgentHealth:
    """What the agent says about itself."""

    serving: bool
    driver: str = ""
    problems: tuple[str, ...] = ()


class Agent(Protocol):
    """All methods raise AgentError leaves and nothing else."""

    async def ensure_image(self, image: str, sandbox: str) -> None:
        """Return when workers can be started from it in that sandbox without its registry."""

    async def ensure(self, worker_id: str, spec: WorkerSpec) -> WorkerInfo:
        """Return when the worker can take a call. Idempotent by worker id."""

    async def destroy(self, worker_id: str) -> None:
        """End the worker; one that is already gone is no error."""

    async def pause(self, worker_id: str) -> None:
        """Freeze an idle worker; one that is frozen already is no error."""

    async def resume(self, worker_id: str) -> None:
        """Let a frozen worker run; one that runs already is no error."""

    async def list(self) -> tuple[WorkerInfo, ...]:
        """Return this gateway's workers, exited ones not yet destroyed too; asking renews the lease."""

    async def usage(self, worker_id: str) -> WorkerUsage:
        """Return what a worker takes."""

    async def health(self) -> AgentHealth:
        """Return the agent's own view of its state."""

    async def close(self) -> None:
        """Let go of the connection; workers stay."""
