"""`esb-node up`: a box in the mode that is asked for, in the foreground or detached."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from esb_node import lock
from esb_node.box import UpRequest, plan_box
from esb_node.box_state import BoxState, read_state
from esb_node.containerd.host import modes_of, require_host
from esb_node.containerd.plan import (
    DEFAULT_SUBNET,
    NODE_SERVICES,
    RUNTIMES,
    SERVICES,
    NodeRequest,
    plan_node,
)
from esb_node.credentials import make_credentials
from esb_node.detach import detach_box
from esb_node.files import make_private
from esb_node.options import command_text, directory, state_option
from esb_node.parts import GATEWAY, Plan, require_parts
from esb_node.up import run_box
from esb_node.view import state_text

_ONLY_CONTAINERD = (
    "subnet",
    "runtime",
    "services",
    "run_dir",
    "names",
    "upstream",
    "open_ports",
    "snapshotter",
    "fresh",
    "keep_workers",
)
_port = click.IntRange(1, 65535)
_WIDEST, _NARROWEST = 8, 29
_NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,62})(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,62}))*", re.ASCII)


def _subnet(_ctx: click.Context, _param: click.Parameter, value: str) -> IPv4Network:
    """Room for the bridge and for workers."""
    try:
        network = IPv4Network(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not _WIDEST <= network.prefixlen <= _NARROWEST:
        raise click.BadParameter(f"expected a prefix from /{_WIDEST} to /{_NARROWEST}, found {value}")
    return network


def _services(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[str, ...]:
    """Names between commas; `node` is short for what only the host can run."""
    asked = [name for part in value.split(",") for name in (NODE_SERVICES if part == "node" else (part,))]
    for name in asked:
        if name not in SERVICES:
            raise click.BadParameter(f"expected some of {', '.join(SERVICES)}, or node, found {name!r}")
    return tuple(name for name in SERVICES if name in asked)


def _names(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Names, each with the address it leads to."""
    found = {}
    for value in values:
        name, _, address = value.partition("=")
        if not _NAME.fullmatch(name):
            raise click.BadParameter(f"expected NAME=ADDRESS with a DNS name, found {value!r}")
        found[name.lower()] = _address(address)
    return found


def _addresses(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_address, values))


def _address(value: str) -> str:
    try:
        return str(IPv4Address(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@state_option
@click.option(
    "--mode",
    type=click.Choice(["process", "containerd"]),
    default="process",
    show_default=True,
    help="Functions as processes of this user, or as containers of an engine of the box's own (root).",
)
@click.option("--config-dir", type=directory, help="What apply writes.  [default: STATE/config]")
@click.option("--images", type=directory, help="The OCI layout with the images.  [default: STATE/images]")
@click.option(
    "--gateway-port", type=_port, help="Port of the gateway.  [default: the last one, else a free one]"
)
@click.option(
    "--data-port", type=_port, help="Port of the data plane.  [default: the last one, else a free one]"
)
@click.option(
    "--detach", is_flag=True, help="Return when everything is ready; the box goes on in the background."
)
@click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    help="Seconds everything together may take to get ready.",
)
@click.option(
    "--services",
    callback=_services,
    metavar="LIST",
    default=",".join(SERVICES),
    show_default="all",
    help=f"containerd: which of {', '.join(SERVICES)} to run; node is short for {','.join(NODE_SERVICES)}.",
)
@click.option(
    "--subnet",
    callback=_subnet,
    metavar="CIDR",
    envvar="ESB_CNI_SUBNET",
    default=DEFAULT_SUBNET,
    show_default=True,
    help="containerd: the workers' network; its first address is the bridge's.",
)
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    envvar="CONTAINERD_RUNTIME",
    default=RUNTIMES[0],
    show_default=True,
    help="containerd: what runs functions that ask for no sandbox of their own.",
)
@click.option(
    "--snapshotter",
    envvar="CONTAINERD_SNAPSHOTTER",
    default="",
    help="containerd: where workers' file systems come from.  [default: overlayfs; devmapper for microVMs]",
)
@click.option("--run-dir", type=directory, help="containerd: sockets and node.env.  [default: STATE/run]")
@click.option(
    "--dns-name",
    "names",
    callback=_names,
    metavar="NAME=ADDRESS",
    multiple=True,
    help="containerd: a name for workers, as s3=192.0.2.7; names below it lead there too.",
)
@click.option(
    "--dns-upstream",
    "upstream",
    callback=_addresses,
    metavar="ADDRESS",
    multiple=True,
    help="containerd: a server for all other names.  [default: there are no others]",
)
@click.option(
    "--open-port",
    "open_ports",
    type=_port,
    multiple=True,
    help="containerd: a TCP port that workers may reach on the bridge's address, besides the box's own.",
)
@click.option("--fresh", is_flag=True, help="containerd: end workers an earlier box left, take none over.")
@click.option("--keep-workers", is_flag=True, help="containerd: at the end leave workers for the next box.")
@click.pass_context
def up(
    ctx: click.Context, /, *, state: Path, mode: str, detach: bool, seconds: float, **options: Any
) -> None:
    """Start the box and keep it running until Ctrl-C or `esb-node down`."""
    node = {name: options.pop(name) for name in _ONLY_CONTAINERD}
    request = UpRequest(state, **options)
    if mode == "process":
        _refuse_given(ctx)
        require_parts()
    make_private(state.resolve())
    with lock.hold(state.resolve()) as descriptor:
        plan = plan_box(request, os.environ) if mode == "process" else _plan_node(request, node)
        for path in (plan.state.config_dir, plan.state.images_dir):
            Path(path).mkdir(parents=True, exist_ok=True)
        if any(service.name == GATEWAY for service in plan.services):
            _show_made(make_credentials(plan), plan.state, state)
        if detach:
            _show(detach_box(plan, seconds, descriptor))
            return
        sys.exit(run_box(plan, seconds, descriptor, _tell, lambda error: _announce(state.resolve(), error)))


def _plan_node(request: UpRequest, node: Mapping[str, Any]) -> Plan:
    from esb_node.doctor_observe import observe  # noqa: PLC0415 - HTTP, which mode process does without

    services, runtime = node["services"], node["runtime"]
    require_host(services, runtime, observe(os.environ, modes_of(runtime)))
    require_parts(services)
    return plan_node(
        NodeRequest(
            box=request,
            subnet=node["subnet"],
            runtime=node["runtime"],
            services=services,
            run=node["run_dir"],
            names=node["names"],
            upstream=node["upstream"],
            open_ports=node["open_ports"],
            snapshotter=node["snapshotter"],
            fresh=node["fresh"],
            keep_workers=node["keep_workers"],
        ),
        os.environ,
    )


def _refuse_given(ctx: click.Context) -> None:
    """An option that would do nothing is a mistake; the environment may be meant for other boxes."""
    for name in _ONLY_CONTAINERD:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            option = next(p.opts[0] for p in ctx.command.params if p.name == name)
            raise click.UsageError(f"{option} is for --mode containerd")


def _show_made(made: str, box: BoxState, state: Path) -> None:
    """Show new secrets once, to a person: what is not a terminal may be kept, and read by others."""
    if not made:
        return
    head = f"credentials made: {box.credentials_file}; how to use them: {command_text('credentials', state)}"
    if sys.stdout.isatty():
        click.echo(f"{head}\nShown this once:\n{textwrap.indent(made.rstrip(), '  ')}\n")
    else:
        click.echo(head, err=True)


def _tell(event: str) -> None:
    with suppress(BrokenPipeError):  # whoever read has left; the box stays, and its log has it all
        click.echo(f"  {event}", err=True)


def _announce(state: Path, error: str) -> None:
    with suppress(BrokenPipeError):
        if error:
            _say_error(error)
            return
        found = read_state(state)
        if found:
            _show(found)
        click.echo("Ctrl-C stops it.", err=True)


def _show(state: BoxState) -> None:
    click.echo(state_text(state, datetime.now(UTC)))


def _say_error(text: str) -> None:
    click.echo(f"{click.style('error:', fg='red')} {text}", err=True)
