"""`esb-node`: up, down, status, logs, credentials, events and certificates of the embedded box.

Exit codes (contract §12): 0 done, 2 usage, 4 the world failed, 130 Ctrl-C, 141 nobody reads stdout any more;
a bug ends with a traceback and 1.
"""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from attrs import asdict

from esb_node import box_state, lock
from esb_node.box import LOG_NAMES, UpRequest, log_file, plan_box, require_parts
from esb_node.box_state import BoxState, read_state
from esb_node.certs_cli import certs
from esb_node.credentials import make_credentials
from esb_node.credentials_cli import credentials
from esb_node.detach import detach_box
from esb_node.down import stop_box
from esb_node.errors import NodeError, error_text
from esb_node.events_cli import events
from esb_node.files import make_private
from esb_node.function_logs import function_log, functions_with_logs, readable
from esb_node.logs import follow, last_lines
from esb_node.options import command_text, current_state, directory, state_option
from esb_node.up import run_box
from esb_node.view import state_text

WORLD_FAILED, INTERRUPTED, BROKEN_PIPE = 4, 130, 141
_FOLLOW_PAUSE = 0.1  # besides what the agent gathers lines for: shown within 0.2 s
_FUNCTION = re.compile(r"[\w-]+", re.ASCII)
_port = click.IntRange(1, 65535)


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
    """Run the embedded box: data plane, agent and gateway as processes of this machine."""


@command.command()
@state_option
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
def up(
    *,
    state: Path,
    config_dir: Path | None,
    images: Path | None,
    gateway_port: int | None,
    data_port: int | None,
    detach: bool,
    seconds: float,
) -> None:
    """Start the box and keep it running until Ctrl-C or `esb-node down`."""
    require_parts()
    make_private(state.resolve())
    with lock.hold(state.resolve()) as descriptor:
        plan = plan_box(UpRequest(state, config_dir, images, gateway_port, data_port), os.environ)
        for path in (plan.state.config_dir, plan.state.images_dir):
            Path(path).mkdir(parents=True, exist_ok=True)
        _show_made(make_credentials(plan), plan.state, state)
        if detach:
            _show(detach_box(plan, seconds, descriptor))
            return
        sys.exit(run_box(plan, seconds, descriptor, _tell, lambda error: _announce(state.resolve(), error)))


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
    """Stop the box and wait until nothing of it is left; fine when none is running."""
    stopped = stop_box(state.resolve(), seconds)
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

    SERVICE is one of supervisor, data-plane, agent, gateway, provisioner; all of them without it.
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


command.add_command(certs)
command.add_command(credentials)
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


def _show_made(made: str, box: BoxState, state: Path) -> None:
    """Show new secrets once, to a person: what is not a terminal may be kept, and read by others."""
    if not made:
        return
    head = f"credentials made: {box.credentials_file}; how to use them: {command_text('credentials', state)}"
    if sys.stdout.isatty():
        click.echo(f"{head}\nShown this once:\n{textwrap.indent(made.rstrip(), '  ')}\n")
    else:
        click.echo(head, err=True)


def _show(state: BoxState) -> None:
    click.echo(state_text(state, datetime.now(UTC)))


def _say_error(text: str) -> None:
    click.echo(f"{click.style('error:', fg='red')} {text}", err=True)


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
