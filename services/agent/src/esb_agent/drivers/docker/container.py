"""From a function's spec to the container that runs it, and back from its labels. No engine here.

The limits are Lambda's: memory is a hard limit without swap, a CPU for each 1769 MB, `/tmp` of 512 MB is all
that can be written.
"""

from collections.abc import Mapping

from attrs import frozen

from esb_agent.drivers.docker.settings import DockerConfig
from esb_agent.model import FunctionSpec, Identity, Worker, WorkerState

PORT = 8080
MIB = 1024 * 1024
# AWS: at 1769 MB a function has the equivalent of one CPU.
MB_A_CPU = 1769
LEAST_CPUS = 0.1
# While it initialises a function has more, as on AWS: imports at a tenth of a CPU would take seconds.
START_CPUS = 2.0
MAX_PROCESSES = 1024  # AWS: processes and threads of a function
MAX_FILES = 1024  # AWS: file descriptors
TMP_OPTIONS = "rw,exec,nosuid,nodev,size=512m,mode=1777"
# AWS runs functions as sbx_user1051; used where an image names no user.
USER = "993:990"
DEFAULT_REGION = "us-east-1"
LOG_OPTIONS = {"max-size": "2m", "max-file": "2", "compress": "false"}
OWNER, WORKER, FUNCTION = "io.esb.owner", "io.esb.worker", "io.esb.function"
BRAND, ENVIRONMENT = "io.esb.brand", "io.esb.env"
SPEC, FINGERPRINT, IMAGE, CREATED = "io.esb.spec", "io.esb.fingerprint", "io.esb.image", "io.esb.created"
TIMEOUT, CPUS = "io.esb.timeout-ms", "io.esb.nano-cpus"
# With it set, AWS's images would run without the emulator that takes the calls.
NOT_PASSED = frozenset({"AWS_LAMBDA_RUNTIME_API"})


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


def cpus(memory_mb: int, available: int) -> int:
    """In billionths, as the engine counts them; never more than the engine has."""
    return int(min(max(memory_mb / MB_A_CPU, LEAST_CPUS), available) * 1e9)


def start_cpus(memory_mb: int, available: int) -> int:
    """As much as a function has until its first call is over."""
    return max(cpus(memory_mb, available), int(min(START_CPUS, available) * 1e9))


def labels(
    config: DockerConfig, identity: Identity, spec: FunctionSpec, created_unix_ms: int, nano_cpus: int
) -> dict[str, str]:
    """All that the next agent needs to know this worker again."""
    return {
        **box_labels(config),
        OWNER: identity.owner_id,
        WORKER: identity.worker_id,
        FUNCTION: spec.name,
        SPEC: spec.digest(),
        FINGERPRINT: identity.fingerprint,
        IMAGE: spec.image,
        CREATED: str(created_unix_ms),
        TIMEOUT: str(spec.timeout_ms),
        CPUS: str(nano_cpus),
    }


def environment(spec: FunctionSpec, worker_id: str) -> dict[str, str]:
    """The function's own, and what the platform must say of it. The emulator and the image add theirs."""
    region = spec.environment.get("AWS_REGION") or spec.environment.get("AWS_DEFAULT_REGION")
    given = {name: value for name, value in spec.environment.items() if name not in NOT_PASSED}
    return {
        "AWS_REGION": region or DEFAULT_REGION,
        "AWS_DEFAULT_REGION": region or DEFAULT_REGION,
        "HOME": "/tmp",  # noqa: S108 - the container's own, and all it can write to
        **given,
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        # The emulator reads whole seconds.
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(-(-spec.timeout_ms // 1000)),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"$LATEST/{worker_id}",
    }


def command(spec: FunctionSpec) -> list[str] | None:
    """What to hand to the image's entrypoint; None for the image's own command."""
    return list(spec.cmd) or ([spec.handler] if spec.handler else None)


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
    if found.oom_killed:
        return f"out of memory (OOMKilled), exit status {found.exit_code}"
    return f"exit status {found.exit_code}"


def to_worker(found: Found, reason: str = "") -> Worker:
    """The worker a container is, as its labels and state tell. Raises KeyError, ValueError: it is none."""
    marks = found.labels
    created = int(marks[CREATED])
    if found.alive:
        state = WorkerState.PAUSED if found.status == "paused" else WorkerState.READY
    else:
        state = WorkerState.EXITED
    return Worker(
        identity=Identity(
            owner_id=marks[OWNER], worker_id=marks[WORKER], fingerprint=marks.get(FINGERPRINT, "")
        ),
        function=marks[FUNCTION],
        image=marks[IMAGE],
        spec_digest=marks[SPEC],
        state=state,
        address=f"http://{found.address}:{PORT}" if found.address else "",
        created_unix_ms=created,
        init_ms=max(0, found.started_unix_ms - created),
        exit_reason=reason if state is WorkerState.EXITED else "",
    )
