"""The embedded box as a plan: which services, how each is started, what each is told through its environment.

request + environment ─plan_box▶ Plan ─run▶ supervisor

data plane (moto server, tables and buckets in memory) ◀─ provisioner
agent (unix socket) ◀─ gateway (HTTP)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from esb_node import ports
from esb_node.box_state import BoxState, read_state
from esb_node.parts import (
    AGENT,
    DATA_PLANE,
    GATEWAY,
    LOOPBACK,
    Plan,
    agent_spec,
    aws_environment,
    credentials_file,
    data_plane_spec,
    gateway_spec,
    provisioner_spec,
    without_host_settings,
)
from esb_node.sockets import socket_path


@frozen
class UpRequest:
    """What a person asks `esb-node up` for; directories may be relative, ports None for any."""

    state: Path
    config_dir: Path | None = None
    images: Path | None = None
    gateway_port: int | None = None
    data_port: int | None = None


def plan_box(request: UpRequest, environ: Mapping[str, str]) -> Plan:
    """Choose ports and say how everything is started.

    Raises:
        PortInUseError: a port that was asked for is taken.
    """
    box = begin_box(request, environ, LOOPBACK)
    common = without_host_settings(environ)
    store = box.urls[DATA_PLANE]
    aws = aws_environment(store, store, store, box.urls[GATEWAY])
    services = (
        data_plane_spec(box, LOOPBACK, common),
        agent_spec(box, common | {"ESB_AGENT_DRIVER": "process", "ESB_IMAGE_LAYOUT": box.images_dir}),
        gateway_spec(box, LOOPBACK, common | aws),
    )
    return Plan(box, services, provisioner_spec(box, common | aws))


def begin_box(
    request: UpRequest, environ: Mapping[str, str], data_host: str, mode: str = "process"
) -> BoxState:
    """What is known of a box before it starts: its directories, ports and addresses.

    Raises:
        PortInUseError: a port that was asked for is taken.
    """
    state = request.state.resolve()
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
            GATEWAY: f"http://{LOOPBACK}:{gateway}",
            DATA_PLANE: f"http://{data_host}:{data}",
            AGENT: f"unix:{socket_path(state, 'agent.sock')}",
        },
        ports={GATEWAY: gateway, DATA_PLANE: data},
        credentials_file=credentials_file(state, environ),
        mode=mode,
    )
