"""From a function's spec to the container that runs it, and back from its labels. No engine here."""

from collections.abc import Mapping

from attrs import frozen

from esb_agent.drivers import emulator_worker
from esb_agent.drivers.docker.settings import DockerConfig
from esb_agent.drivers.emulator_function import (
    BRAND,
    CREATED,
    ENVIRONMENT,
    MAX_FILES,
    MAX_PROCESSES,
    MIB,
    TMP_OPTIONS,
    USER,
    command,
    environment,
    from_labels,
)
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerState

LOG_OPTIONS = {"max-size": "2m", "max-file": "2", "compress": "false"}


@frozen(kw_only=True)
class Found:
    """A container as the engine tells of it. `address` is "" when it has none, as one that has ended."""

    container_id: str
    labels: Mapping[str, str]
    status: str
    address: str = ""
    started_unix_ms: int = 0
    exit_code: int = 0
    oom_killed: bool = False

    @property
    def alive(self) -> bool:
        """It has a process."""
        return self.status in ("running", "paused")


def container_name(config: DockerConfig, identity: Identity, spec: FunctionSpec) -> str:
    """`{slug}-{env}-{function}-{id}`."""
    return config.identity.worker_name(spec.name, identity.worker_id)


def box_labels(config: DockerConfig) -> dict[str, str]:
    """What all containers of this box have, and none of another."""
    return {BRAND: config.identity.slug, ENVIRONMENT: config.identity.environment}


def create_request(
    config: DockerConfig,
    identity: Identity,
    spec: FunctionSpec,
    marks: Mapping[str, str],
    *,
    image_user: str,
    nano_cpus: int,
) -> dict[str, object]:
    """The body of the engine's create call: the function, and nothing it does not need."""
    variables = environment(spec, identity.worker_id)
    request: dict[str, object] = {
        "Image": spec.image,
        "Env": [f"{name}={value}" for name, value in variables.items()],
        "Labels": dict(marks),
        "User": image_user or USER,
        "HostConfig": {
            "NetworkMode": config.identity.network,
            "Memory": spec.memory_mb * MIB,
            "MemorySwap": spec.memory_mb * MIB,
            "NanoCpus": nano_cpus,
            "PidsLimit": MAX_PROCESSES,
            "Ulimits": [{"Name": "nofile", "Soft": MAX_FILES, "Hard": MAX_FILES}],
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "Tmpfs": {"/tmp": TMP_OPTIONS},  # noqa: S108 - see above
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "local", "Config": LOG_OPTIONS},
        },
    }
    if (words := command(spec)) is not None:
        request["Cmd"] = words
    return request


def end_reason(found: Found) -> str:
    """Why a container ended, in words."""
    return emulator_worker.end_reason(found.exit_code, out_of_memory=found.oom_killed)


def to_worker(found: Found) -> Worker:
    """The worker a container is, as its labels and state tell. Raises KeyError, ValueError: it is none."""
    state = WorkerState.EXITED
    if found.alive:
        state = WorkerState.PAUSED if found.status == "paused" else WorkerState.READY
    init_ms = max(0, found.started_unix_ms - int(found.labels[CREATED]))
    return from_labels(found.labels, state, found.address, init_ms=init_ms)
