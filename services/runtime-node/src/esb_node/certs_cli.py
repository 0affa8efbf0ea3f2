"""`esb-node certs`: the box's certificates, made, renewed and shown."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from esb_node.certs import Described

SOON = timedelta(days=30)
_directory = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where the certificates lie.",
)
_days = click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=365,
    show_default=True,
    help="How long those of agent and gateway are good.",
)


@click.group()
def certs() -> None:
    """Certificates for an agent on TCP: an authority, the agent's, the gateway's."""


@certs.command()
@_directory
@_days
@click.option(
    "--agent-name",
    "names",
    multiple=True,
    help="Name or address the gateway reaches the agent by; repeatable.  [default: this host and loopback]",
)
@click.option(
    "--owner",
    default="esb-gateway",
    show_default=True,
    help="Whose workers the gateway's are (ESB_OWNER_ID).",
)
def init(directory: Path, days: int, names: tuple[str, ...], owner: str) -> None:
    """Make all of them; there must be none yet."""
    from esb_node.certs import init_certs  # noqa: PLC0415 - 100 ms that no other command needs

    names = names or ("localhost", "127.0.0.1", "::1", socket.gethostname())
    _show(init_certs(directory, agent_names=names, owner=owner, days=days, now=_now()), _now())


@certs.command()
@_directory
@_days
@click.option(
    "--ca", is_flag=True, help="Make a new authority, too; the old one stays trusted until the next renewal."
)
def renew(directory: Path, days: int, ca: bool) -> None:
    """Replace agent's and gateway's by new ones for the same names; running services take them up."""
    from esb_node.certs import renew_certs  # noqa: PLC0415 - as above

    _show(renew_certs(directory, days=days, now=_now(), authority=ca), _now())


@certs.command()
@_directory
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show(directory: Path, output: str) -> None:
    """Say what they are for and until when they are good."""
    from esb_node.certs import describe_certs  # noqa: PLC0415 - as above

    found = describe_certs(directory)
    if output == "text":
        _show(found, _now())
        return
    click.echo(
        json.dumps(
            [
                {
                    "file": one.file,
                    "use": one.use,
                    "names": one.names,
                    "not_before": one.begins.isoformat(),
                    "not_after": one.ends.isoformat(),
                    "sha256": one.fingerprint,
                }
                for one in found
            ],
            indent=2,
        )
    )


def _now() -> datetime:
    """Whole seconds, as certificates hold no less."""
    return datetime.now(UTC).replace(microsecond=0)


def _show(found: list[Described], now: datetime) -> None:
    for one in found:
        click.echo(f"{one.file:<12} {one.use:<16} {_until(one.ends, now):<28} {', '.join(one.names)}")


def _until(ends: datetime, now: datetime) -> str:
    if ends <= now:
        return f"expired {ends:%Y-%m-%d}"
    return f"until {ends:%Y-%m-%d}" + (", renew soon" if ends - now < SOON else "")
