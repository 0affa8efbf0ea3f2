"""A function as its image's emulator wants it: limits, environment, command, the labels that tell a worker.

The same whatever engine keeps the worker. The limits are Lambda's: memory is a hard limit without swap, a
CPU for each 1769 MB, `/tmp` of 512 MB is all that can be written.
"""

from collections.abc import Mapping

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
OWNER, WORKER, FUNCTION = "io.esb.owner", "io.esb.worker", "io.esb.function"
BRAND, ENVIRONMENT = "io.esb.brand", "io.esb.env"
SPEC, FINGERPRINT, IMAGE, CREATED = "io.esb.spec", "io.esb.fingerprint", "io.esb.image", "io.esb.created"
TIMEOUT, CPUS = "io.esb.timeout-ms", "io.esb.nano-cpus"
# With it set, AWS's images would run without the emulator that takes the calls.
NOT_PASSED = frozenset({"AWS_LAMBDA_RUNTIME_API"})


def cpus(memory_mb: int, available: int) -> int:
    """In billionths, as the engine counts them; never more than the engine has."""
    return int(min(max(memory_mb / MB_A_CPU, LEAST_CPUS), available) * 1e9)


def start_cpus(memory_mb: int, available: int) -> int:
    """As much as a function has until its first call is over."""
    return max(cpus(memory_mb, available), int(min(START_CPUS, available) * 1e9))


def later_cpus(memory_mb: int, available: int) -> int:
    """What it is limited to afterwards; 0: to no less."""
    later = cpus(memory_mb, available)
    return later if later < start_cpus(memory_mb, available) else 0


def labels(
    box: Mapping[str, str], identity: Identity, spec: FunctionSpec, created_unix_ms: int, nano_cpus: int
) -> dict[str, str]:
    """All that the next agent needs to know this worker again; `box` is what all workers of the box have."""
    return {
        **box,
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


def from_labels(
    marks: Mapping[str, str], state: WorkerState, address: str, *, init_ms: int = 0, exit_reason: str = ""
) -> Worker:
    """The worker of these labels. Raises KeyError, ValueError: they are no worker's."""
    return Worker(
        identity=Identity(
            owner_id=marks[OWNER], worker_id=marks[WORKER], fingerprint=marks.get(FINGERPRINT, "")
        ),
        function=marks[FUNCTION],
        image=marks[IMAGE],
        spec_digest=marks[SPEC],
        state=state,
        address=worker_address(address),
        created_unix_ms=int(marks[CREATED]),
        init_ms=init_ms,
        exit_reason=exit_reason,
    )


def worker_address(address: str) -> str:
    """Where calls to a worker of this address are POSTed; "" for none."""
    return f"http://{address}:{PORT}" if address else ""
