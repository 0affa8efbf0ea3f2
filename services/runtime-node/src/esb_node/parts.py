"""The services of a box, each with how it is started and what it is told; every mode is made of these."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from attrs import field, frozen

from esb_node.box_state import BoxState
from esb_node.data_plane import READY_PATH
from esb_node.errors import MissingPartsError
from esb_node.ground import BareGround, Ground
from esb_node.specs import GrpcProbe, HttpProbe, JobSpec, ServiceSpec

DATA_PLANE, AGENT, GATEWAY, PROVISIONER, SUPERVISOR = (
    "data-plane",
    "agent",
    "gateway",
    "provisioner",
    "supervisor",
)
ENGINE, DNS = "containerd", "dns"
LOG_NAMES = (SUPERVISOR, ENGINE, DNS, DATA_PLANE, AGENT, GATEWAY, PROVISIONER)
REGION = "us-east-1"
ACCOUNT = "000000000000"
LOOPBACK = "127.0.0.1"
_PYTHON = (sys.executable, "-P", "-m")
_GATEWAY_STATE, _CREDENTIALS = "gateway", "credentials.yml"
_MODULES = {
    DATA_PLANE: {"moto": "moto", "flask": "moto[server]", "esb_provisioner": "provisioner"},
    AGENT: {"esb_agent": "agent"},
    GATEWAY: {"esb_gateway": "gateway"},
}
_HOST_ONLY = ("AWS_", "MOTO_")
_STORE_SECONDS = "20"
_STORE_KEYS = {"AWS_ACCESS_KEY_ID": "provisioner", "AWS_SECRET_ACCESS_KEY": "not-compared"}  # moto takes any
_DRAIN_SECONDS = "5"  # a box that is told to stop does not wait for the longest call there can be


@frozen
class Plan:
    """Everything that is known before the first process starts; `state` is what box.json begins with."""

    state: BoxState
    services: tuple[ServiceSpec, ...]
    job: JobSpec | None
    data_plane: str = DATA_PLANE
    ground: Ground = field(factory=BareGround, eq=False)


def require_parts(services: Collection[str] = (DATA_PLANE, AGENT, GATEWAY)) -> None:
    """Check that the box's own services are installed.

    Raises:
        MissingPartsError: names what is missing and the command that installs it.
    """
    needed = {module: name for service in services for module, name in _MODULES.get(service, {}).items()}
    missing = sorted({name for module, name in needed.items() if importlib.util.find_spec(module) is None})
    if missing:
        raise MissingPartsError(
            f"parts of the embedded box are not installed: {', '.join(missing)}"
            " (install them with: pip install 'esb-runtime-node[embedded]')"
        )


def log_file(state: Path, name: str) -> Path:
    """Where a part of the box logs to."""
    return state / "logs" / f"{name}.log"


def credentials_file(state: Path, environ: Mapping[str, str]) -> str:
    """Where the gateway keeps who may call it."""
    return environ.get("ESB_GATEWAY_CREDENTIALS") or str(state / _GATEWAY_STATE / _CREDENTIALS)


def data_plane_spec(box: BoxState, host: str, common: Mapping[str, str]) -> ServiceSpec:
    """Tables and buckets, in memory."""
    state = Path(box.state_dir)
    return ServiceSpec(
        name=DATA_PLANE,
        argv=(*_PYTHON, "esb_node.data_plane", "-H", host, "-p", str(box.ports[DATA_PLANE])),
        ready=HttpProbe(f"{box.urls[DATA_PLANE]}{READY_PATH}"),
        address=box.urls[DATA_PLANE],
        log=log_file(state, DATA_PLANE),
        stop_seconds=0.0,
        env={**common, "MOTO_ACCOUNT_ID": ACCOUNT, "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"},
    )


def agent_spec(box: BoxState, environment: Mapping[str, str]) -> ServiceSpec:
    """The agent on its unix socket; `environment` says which driver."""
    state, address = Path(box.state_dir), box.urls[AGENT]
    return ServiceSpec(
        name=AGENT,
        argv=(*_PYTHON, "esb_agent"),
        ready=GrpcProbe(Path(address.removeprefix("unix:"))),
        address=address,
        log=log_file(state, AGENT),
        env={**environment, "ESB_AGENT_ADDRESS": address, "ESB_AGENT_STATE_DIR": str(state / "agent")},
        stop_seconds=8.0,
    )


def gateway_spec(box: BoxState, host: str, environment: Mapping[str, str]) -> ServiceSpec:
    """The gateway, listening on an address of this host."""
    state = Path(box.state_dir)
    own = {
        "ESB_CONFIG_DIR": box.config_dir,
        "ESB_GATEWAY_HOST": host,
        "ESB_GATEWAY_PORT": str(box.ports[GATEWAY]),
        "ESB_AGENT_ADDRESS": box.urls[AGENT],
        "ESB_GATEWAY_STATE_DIR": str(state / _GATEWAY_STATE),
        "ESB_GATEWAY_CREDENTIALS": box.credentials_file,
        "ESB_GATEWAY_DRAIN_TIMEOUT": _DRAIN_SECONDS,
        "ESB_OWNER_ID": f"box-{hashlib.sha256(str(state).encode()).hexdigest()[:8]}",
    }
    return ServiceSpec(
        name=GATEWAY,
        argv=(*_PYTHON, "esb_gateway"),
        ready=HttpProbe(f"{box.urls[GATEWAY]}/health"),
        address=box.urls[GATEWAY],
        log=log_file(state, GATEWAY),
        env={**environment, **own},
        stop_seconds=8.0,
    )


def provisioner_spec(box: BoxState, environment: Mapping[str, str]) -> JobSpec:
    """The run that makes what is applied in the box's own data plane."""
    state = Path(box.state_dir)
    return JobSpec(
        name=PROVISIONER,
        argv=(*_PYTHON, "esb_provisioner", "--output", "json", "--wait", _STORE_SECONDS),
        output=state / "provisioner.json",
        log=log_file(state, PROVISIONER),
        env={**environment, **_STORE_KEYS, **_no_host_profile(), "ESB_CONFIG_DIR": box.config_dir},
    )


def without_host_settings(environ: Mapping[str, str], *direct: str) -> dict[str, str]:
    """The environment without this host's AWS account, and without proxies before the box's addresses."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_HOST_ONLY)}
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, [kept.get(name, ""), LOOPBACK, "localhost", *direct]))
    return kept


def aws_environment(data_plane: str, s3: str, dynamodb: str, gateway: str) -> dict[str, str]:
    """What every current AWS SDK reads: where the services are. As whom to call them, the gateway tells."""
    return {
        "AWS_ENDPOINT_URL": data_plane,
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb,
        "AWS_ENDPOINT_URL_S3": s3,
        "AWS_ENDPOINT_URL_LAMBDA": gateway,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def _no_host_profile() -> dict[str, str]:
    null = "/dev/null"
    return {
        "AWS_CONFIG_FILE": null,
        "AWS_SHARED_CREDENTIALS_FILE": null,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
