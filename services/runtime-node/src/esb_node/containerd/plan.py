"""A containerd box as a plan: which parts of it this command runs, how each is started, what each is told.

request + environment ─plan_node▶ Plan{ground, services} ─run▶ supervisor

containerd ◀─ agent (root, unix socket) ◀─ gateway ;  workers ─DNS▶ dnsmasq, ─HTTP▶ gateway, data plane
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

from attrs import evolve, field, frozen

from esb_node.box import UpRequest, begin_box
from esb_node.box_state import BoxState
from esb_node.containerd.commands import find
from esb_node.containerd.dns import dns_question
from esb_node.containerd.firewall import Ports
from esb_node.containerd.ground import ContainerdGround
from esb_node.containerd.identity import name_box
from esb_node.containerd.kernel import wants_expedited
from esb_node.containerd.layout import Layout
from esb_node.parts import (
    AGENT,
    DATA_PLANE,
    DNS,
    ENGINE,
    GATEWAY,
    Plan,
    agent_spec,
    aws_environment,
    data_plane_spec,
    gateway_spec,
    log_file,
    provisioner_spec,
    without_host_settings,
)
from esb_node.specs import DnsProbe, GrpcProbe, ServiceSpec

MODE = "containerd"
SERVICES = (ENGINE, DNS, DATA_PLANE, AGENT, GATEWAY)
NODE_SERVICES = (ENGINE, DNS)
DEFAULT_SUBNET = "10.88.0.0/16"
RUNTIMES = ("runc", "io.containerd.runc.v2", "io.containerd.runsc.v1", "aws.firecracker")
_MICRO_VM = "aws.firecracker"
_EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - the firewall closes it to all but this host and its workers
_STORES = ("s3", "dynamodb")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@frozen
class NodeRequest:
    """What a person asks `esb-node up --mode containerd` for, besides what every mode takes.

    `names` lead workers to stores elsewhere; `open_ports` of the bridge's address are for what other units of
    this host serve.
    """

    box: UpRequest
    subnet: IPv4Network
    runtime: str = RUNTIMES[0]
    services: tuple[str, ...] = SERVICES
    run: Path | None = None
    names: Mapping[str, str] = field(factory=dict)
    upstream: tuple[str, ...] = ()
    open_ports: tuple[int, ...] = ()
    snapshotter: str = ""
    fresh: bool = False
    keep_workers: bool = False


def plan_node(request: NodeRequest, environ: Mapping[str, str]) -> Plan:
    """Choose names and ports and say how everything is started.

    Raises:
        NodeError: nothing says what the box is called, or a variable has a wrong value.
        PortInUseError: a port that was asked for is taken.
    """
    state = request.box.state.resolve()
    layout = name_box(state, (request.run or state / "run").resolve(), request.subnet, environ)
    box = begin_box(_own_ports(request), environ, str(layout.gateway_address), MODE)
    common = without_host_settings(environ, str(layout.gateway_address), str(layout.subnet))
    common["PATH"] = ":".join(filter(None, [common.get("PATH", ""), _PATH]))
    told = node_environment(request, layout, environ)
    aws = _aws(request, box, environ)
    makers = {
        ENGINE: lambda: _engine(layout, common),
        DNS: lambda: _dns(layout),
        DATA_PLANE: lambda: data_plane_spec(box, str(layout.gateway_address), common),
        AGENT: lambda: agent_spec(box, common | told),
        GATEWAY: lambda: gateway_spec(box, _EVERY_ADDRESS, common | aws),
    }
    job = provisioner_spec(box, common | _own_store(box)) if DATA_PLANE in request.services else None
    services = tuple(makers[name]() for name in SERVICES if name in request.services)
    box = evolve(box, urls={name: url for name, url in box.urls.items() if name in request.services})
    ground = evolve(
        _ground(request, layout, box, told),
        devmapper_pool=environ.get("ESB_DEVMAPPER_POOL", ""),
        expedited=wants_expedited(environ),
    )
    return Plan(box, services, job, ground=ground)


def _own_ports(request: NodeRequest) -> UpRequest:
    """Without the ports of services that run elsewhere, which may well be in use."""
    return evolve(
        request.box,
        gateway_port=request.box.gateway_port if GATEWAY in request.services else None,
        data_port=request.box.data_port if DATA_PLANE in request.services else None,
    )


def node_environment(request: NodeRequest, layout: Layout, environ: Mapping[str, str]) -> dict[str, str]:
    """What an agent on this node has to know: the content of node.env."""
    microvm = request.runtime == _MICRO_VM
    told = {
        "ESB_AGENT_DRIVER": MODE,
        "ESB_BRAND_SLUG": layout.slug,
        "ESB_CONTAINERD_ADDRESS": str(layout.socket),
        "CONTAINERD_RUNTIME": request.runtime,
        "CONTAINERD_SNAPSHOTTER": request.snapshotter or ("devmapper" if microvm else "overlayfs"),
        "ESB_CNI_SUBNET": str(layout.subnet),
        "ESB_WORKER_DNS": str(layout.gateway_address),
        "ESB_BRIDGE_ADDRESS": str(layout.gateway_address),
    }
    if runsc := environ.get("ESB_RUNSC_BINARY"):
        told["ESB_RUNSC_BINARY"] = runsc
    return told


def box_names(request: NodeRequest, layout: Layout) -> dict[str, str]:
    """The names workers can ask for: this box's parts at the bridge's address, unless told otherwise."""
    own = str(layout.gateway_address)
    return dict.fromkeys((GATEWAY, DATA_PLANE, *_STORES), own) | dict(request.names)


def _ground(request: NodeRequest, layout: Layout, box: BoxState, told: Mapping[str, str]) -> ContainerdGround:
    own = tuple(box.ports[name] for name in (GATEWAY, DATA_PLANE) if name in request.services)
    asked = tuple(p for p in (request.box.gateway_port, request.box.data_port) if p)
    return ContainerdGround(
        layout=layout,
        ports=Ports(
            workers=tuple(sorted({*own, *asked, *request.open_ports})),
            guarded=(box.ports[GATEWAY],) if GATEWAY in request.services else (),
        ),
        names=box_names(request, layout),
        environment=told,
        snapshotter=told["CONTAINERD_SNAPSHOTTER"],
        upstream=request.upstream,
        fresh=request.fresh,
        keep_workers=request.keep_workers,
    )


def _aws(request: NodeRequest, box: BoxState, environ: Mapping[str, str]) -> dict[str, str]:
    """What the gateway hands to workers: the box's own stores by name, or those the environment says."""
    gateway = f"http://{GATEWAY}:{box.ports[GATEWAY]}"
    port = box.ports[DATA_PLANE]
    by_name = aws_environment(
        f"http://{DATA_PLANE}:{port}", f"http://s3:{port}", f"http://dynamodb:{port}", gateway
    )
    if DATA_PLANE in request.services:
        return by_name
    given = {name: value for name, value in environ.items() if name.startswith("AWS_")}
    stores = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_DYNAMODB")
    return {name: value for name, value in by_name.items() if name not in stores} | given


def _own_store(box: BoxState) -> dict[str, str]:
    """The provisioner runs on this host, where the box's names lead nowhere."""
    store = box.urls[DATA_PLANE]
    return aws_environment(store, store, store, box.urls[GATEWAY])


def _engine(layout: Layout, common: Mapping[str, str]) -> ServiceSpec:
    return ServiceSpec(
        name=ENGINE,
        argv=(find("containerd") or "containerd", "--config", str(layout.engine_config)),
        ready=GrpcProbe(layout.socket),
        address=f"unix:{layout.socket}",
        log=log_file(layout.state, ENGINE),
        env=dict(common),
    )


def _dns(layout: Layout) -> ServiceSpec:
    address = str(layout.gateway_address)
    return ServiceSpec(
        name=DNS,
        argv=(find("dnsmasq") or "dnsmasq", "--keep-in-foreground", f"--conf-file={layout.dns_config}"),
        ready=DnsProbe(address, dns_question(GATEWAY)),
        address=f"{address}:53",
        log=log_file(layout.state, DNS),
        env={"PATH": _PATH},
        stop_seconds=2.0,
    )
