"""`esb-node`: up, down, status, logs, credentials, events and certificates of the embedded box; doctor.

Exit codes (contract §12): 0 done, 2 usage, 4 the world failed, 130 Ctrl-C, 141 nobody reads stdout any more;
a bug ends with a traceback and 1.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from esb_node import box_state, lock
from esb_node.box_state import BoxState
from esb_node.certs_cli import certs
from esb_node.containerd.lift import lift_leftovers
from esb_node.credentials_cli import credentials
from esb_node.doctor_cli import doctor
from esb_node.down import stop_box
from esb_node.errors import NodeError, error_text
from esb_node.events_cli import events
from esb_node.function_logs import function_log, functions_with_logs, readable
from esb_node.logs import follow, last_lines
from esb_node.options import command_text, current_state, state_option
from esb_node.parts import LOG_NAMES, log_file
from esb_node.up_cli import up
from esb_node.view import state_text

WORLD_FAILED, INTERRUPTED, BROKEN_PIPE = 4, 130, 141
_FOLLOW_PAUSE = 0.1  # besides what the agent gathers lines for: shown within 0.2 s
_FUNCTION = re.compile(r"[\w-]+", re.ASCII)


class _Group(click.Group):
    """The commands, and the one table from errors to exit codes (contract §12)."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what went wrong is said on stderr."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Nobody reads any more. Python would try to flush again at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(BROKEN_PIPE)
        except (NodeError, OSError) as error:
            _say_error(error_text(error))
            ctx.exit(WORLD_FAILED)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        return result


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="esb-runtime-node")
def command() -> None:
    """Run a box on this machine: its functions as processes, or as containers of an engine of its own."""


@command.command()
@state_option
@click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds to wait until everything is gone.",
)
def down(state: Path, seconds: float) -> None:
    """Stop the box and wait until nothing of it is left, of a killed one too; fine when none is running."""
    stopped = stop_box(state.resolve(), seconds)
    stopped = lift_leftovers(state.resolve()) or stopped
    click.echo(f"box {state.resolve()} is down" + ("" if stopped else " already"))


@command.command()
@state_option
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(state: Path, output: str) -> None:
    """Say what runs where."""
    found = current_state(state.resolve())
    if output == "json":
        click.echo(json.dumps(asdict(found) if found else {"state": box_state.STOPPED}, indent=2))
    elif found and found.state != box_state.STOPPED:
        _show(found)
    else:
        fact = f"box {state.resolve()} is down" if found else f"no box has run in {state.resolve()}"
        click.echo(f"{fact}; start it with: {command_text('up', state)}")


@command.command()
@state_option
@click.option(
    "-f", "--follow", "following", is_flag=True, help="Go on until Ctrl-C or until the box is down."
)
@click.option(
    "--lines", type=click.IntRange(min=0), default=50, show_default=True, help="Last lines of each log."
)
@click.option("--function", metavar="NAME", help="What this function printed, instead of the services' logs.")
@click.argument("service", type=click.Choice(LOG_NAMES), required=False, metavar="[SERVICE]")
def logs(state: Path, following: bool, lines: int, function: str | None, service: str | None) -> None:
    """Show what the services of the box logged, or what a function printed.

    SERVICE is one of supervisor, containerd, dns, data-plane, agent, gateway, provisioner; all without it.
    """
    if function is not None:
        if service or not _FUNCTION.fullmatch(function):
            raise click.UsageError("--function takes the name of one function, and no SERVICE beside it")
        files = [(function, function_log(state.resolve(), function))]
    else:
        files = [(name, log_file(state.resolve(), name)) for name in ([service] if service else LOG_NAMES)]
    if not any(path.exists() for _, path in files):
        click.echo(_nothing_logged(state, function), err=True)
    prefix = "{:<12} " if len(files) > 1 else ""
    show = readable if function else str
    if following:
        with suppress(KeyboardInterrupt):  # the usual end of it
            for line in follow(files, _while_held(state.resolve()), lines):
                click.echo(prefix.format(line.service) + show(line.text))
        return
    for name, path in files:
        for text in last_lines(path, lines):
            click.echo(prefix.format(name) + show(text))


command.add_command(up)
command.add_command(certs)
command.add_command(credentials)
command.add_command(doctor)
command.add_command(events)


def main() -> None:
    """Run the command."""
    command()


def _nothing_logged(state: Path, function: str | None) -> str:
    if function is None:
        return f"nothing is logged in {state.resolve()}; start the box with: {command_text('up', state)}"
    others = ", ".join(functions_with_logs(state.resolve())) or "no function"
    return f"{function} has printed nothing yet; there is output of: {others}"


def _while_held(state: Path) -> Callable[[], bool]:
    def wait() -> bool:
        time.sleep(_FOLLOW_PAUSE)
        return lock.is_held(state)

    return wait


def _show(state: BoxState) -> None:
    click.echo(state_text(state, datetime.now(UTC)))


def _say_error(text: str) -> None:
    click.echo(f"{click.style('error:', fg='red')} {text}", err=True)
