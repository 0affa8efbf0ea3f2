"""The embedded box as a plan: which services, how each is started, what each is told through its environment.

request + environment ─plan_box▶ Plan ─run▶ supervisor

data plane (moto server, tables and buckets in memory) ◀─ provisioner
agent (unix socket) ◀─ gateway (HTTP)
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from esb_node import ports
from esb_node.box_state import BoxState, read_state
from esb_node.errors import MissingPartsError
from esb_node.sockets import socket_path
from esb_node.specs import HttpProbe, JobSpec, ServiceSpec, SocketProbe

DATA_PLANE, AGENT, GATEWAY, PROVISIONER, SUPERVISOR = (
    "data-plane",
    "agent",
    "gateway",
    "provisioner",
    "supervisor",
)
LOG_NAMES = (SUPERVISOR, DATA_PLANE, AGENT, GATEWAY, PROVISIONER)
REGION = "us-east-1"
ACCOUNT = "000000000000"
_GATEWAY_STATE, _CREDENTIALS = "gateway", "credentials.yml"
_HOST = "127.0.0.1"
_PARTS = {
    "esb_agent": "agent",
    "esb_gateway": "gateway",
    "esb_provisioner": "provisioner",
    "moto": "moto",
    "flask": "moto[server]",
}
_HOST_ONLY = ("AWS_", "MOTO_")
_STORE_SECONDS = "20"
_STORE_KEYS = {"AWS_ACCESS_KEY_ID": "provisioner", "AWS_SECRET_ACCESS_KEY": "not-compared"}  # moto takes any
_DRAIN_SECONDS = "5"  # a box that is told to stop does not wait for the longest call there can be


@frozen
class UpRequest:
    """What a person asks `esb-node up` for; directories may be relative, ports None for any."""

    state: Path
    config_dir: Path | None = None
    images: Path | None = None
    gateway_port: int | None = None
    data_port: int | None = None


@frozen
class Plan:
    """Everything that is known before the first process starts; `state` is what box.json begins with."""

    state: BoxState
    services: tuple[ServiceSpec, ...]
    job: JobSpec | None
    data_plane: str = DATA_PLANE


def require_parts() -> None:
    """Check that the services of the embedded box are installed.

    Raises:
        MissingPartsError: names what is missing and the command that installs it.
    """
    missing = sorted({name for module, name in _PARTS.items() if importlib.util.find_spec(module) is None})
    if missing:
        raise MissingPartsError(
            f"parts of the embedded box are not installed: {', '.join(missing)}"
            " (install them with: pip install 'esb-runtime-node[embedded]')"
        )


def log_file(state: Path, name: str) -> Path:
    """Where a part of the box logs to."""
    return state / "logs" / f"{name}.log"


def plan_box(request: UpRequest, environ: Mapping[str, str]) -> Plan:
    """Choose ports and say how everything is started.

    Raises:
        PortInUseError: a port that was asked for is taken.
    """
    state = request.state.resolve()
    box = _box(request, state, environ)
    common = _without_host_settings(environ)
    aws = _aws(box)
    python = (sys.executable, "-P", "-m")
    agent_socket = Path(box.urls[AGENT].removeprefix("unix:"))
    services = (
        ServiceSpec(
            name=DATA_PLANE,
            argv=(*python, "moto.server", "-H", _HOST, "-p", str(box.ports[DATA_PLANE])),
            ready=HttpProbe(f"{box.urls[DATA_PLANE]}/moto-api/"),
            address=box.urls[DATA_PLANE],
            log=log_file(state, DATA_PLANE),
            stop_seconds=0.0,
            env=common | {"MOTO_ACCOUNT_ID": ACCOUNT, "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"},
        ),
        ServiceSpec(
            name=AGENT,
            argv=(*python, "esb_agent"),
            ready=SocketProbe(agent_socket),
            address=box.urls[AGENT],
            log=log_file(state, AGENT),
            env=common | _agent_env(box, state),
            stop_seconds=8.0,
        ),
        ServiceSpec(
            name=GATEWAY,
            argv=(*python, "esb_gateway"),
            ready=HttpProbe(f"{box.urls[GATEWAY]}/health"),
            address=box.urls[GATEWAY],
            log=log_file(state, GATEWAY),
            env=common | aws | _gateway_env(box, state),
            stop_seconds=8.0,
        ),
    )
    job = JobSpec(
        name=PROVISIONER,
        argv=(*python, "esb_provisioner", "--output", "json", "--wait", _STORE_SECONDS),
        output=state / "provisioner.json",
        log=log_file(state, PROVISIONER),
        env=common | aws | _STORE_KEYS | _no_host_profile() | {"ESB_CONFIG_DIR": box.config_dir},
    )
    return Plan(box, services, job)


def _box(request: UpRequest, state: Path, environ: Mapping[str, str]) -> BoxState:
    previous = read_state(state)
    used = previous.ports if previous else {}
    gateway = ports.choose(request.gateway_port, used.get(GATEWAY), option="--gateway-port")
    data = ports.choose(
        request.data_port, used.get(DATA_PLANE), option="--data-port", taken=frozenset({gateway})
    )
    return BoxState(
        state="starting",
        state_dir=str(state),
        config_dir=str((request.config_dir or state / "config").resolve()),
        images_dir=str((request.images or state / "images").resolve()),
        urls={
            GATEWAY: f"http://{_HOST}:{gateway}",
            DATA_PLANE: f"http://{_HOST}:{data}",
            AGENT: f"unix:{socket_path(state, 'agent.sock')}",
        },
        ports={GATEWAY: gateway, DATA_PLANE: data},
        credentials_file=environ.get("ESB_GATEWAY_CREDENTIALS") or str(state / _GATEWAY_STATE / _CREDENTIALS),
    )


def _without_host_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without this host's AWS account, and without proxies before the box's addresses."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_HOST_ONLY)}
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, [kept.get(name, ""), _HOST, "localhost"]))
    return kept


def _aws(box: BoxState) -> dict[str, str]:
    """What every current AWS SDK reads: where the services are. As whom to call them, the gateway tells."""
    return {
        "AWS_ENDPOINT_URL": box.urls[DATA_PLANE],
        "AWS_ENDPOINT_URL_DYNAMODB": box.urls[DATA_PLANE],
        "AWS_ENDPOINT_URL_S3": box.urls[DATA_PLANE],
        "AWS_ENDPOINT_URL_LAMBDA": box.urls[GATEWAY],
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


def _agent_env(box: BoxState, state: Path) -> dict[str, str]:
    return {
        "ESB_AGENT_ADDRESS": box.urls[AGENT],
        "ESB_AGENT_STATE_DIR": str(state / "agent"),
        "ESB_AGENT_DRIVER": "process",
        "ESB_IMAGE_LAYOUT": box.images_dir,
    }


def _gateway_env(box: BoxState, state: Path) -> dict[str, str]:
    return {
        "ESB_CONFIG_DIR": box.config_dir,
        "ESB_GATEWAY_HOST": _HOST,
        "ESB_GATEWAY_PORT": str(box.ports[GATEWAY]),
        "ESB_AGENT_ADDRESS": box.urls[AGENT],
        "ESB_GATEWAY_STATE_DIR": str(state / _GATEWAY_STATE),
        "ESB_GATEWAY_CREDENTIALS": box.credentials_file,
        "ESB_GATEWAY_DRAIN_TIMEOUT": _DRAIN_SECONDS,
        "ESB_OWNER_ID": f"box-{hashlib.sha256(str(state).encode()).hexdigest()[:8]}",
    }
