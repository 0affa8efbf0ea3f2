"""`esb-node`: up, down, status and logs of the embedded box.

Exit codes (contract §12): 0 done, 2 usage, 4 the world failed; a bug ends with a traceback and 1.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import click
from attrs import asdict, evolve

from esb_node import box_state, lock
from esb_node.box import LOG_NAMES, UpRequest, log_file, plan_box, require_parts
from esb_node.box_state import BoxState, read_state
from esb_node.down import stop_box
from esb_node.errors import NodeError
from esb_node.files import make_private
from esb_node.logs import follow, last_lines
from esb_node.up import detach_box, run_box
from esb_node.view import state_text

DEFAULT_STATE = Path(".esb/box")
_FOLLOW_PAUSE = 0.2
_directory = click.Path(path_type=Path, file_okay=False)
_port = click.IntRange(1, 65535)
_state_option = click.option(
    "--state", type=_directory, default=DEFAULT_STATE, show_default=True, help="The directory of the box."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="esb-runtime-node")
def command() -> None:
    """Run the embedded box: data plane, agent and gateway as processes of this machine."""


@command.command()
@_state_option
@click.option("--config-dir", type=_directory, help="What apply writes.  [default: STATE/config]")
@click.option("--images", type=_directory, help="The OCI layout with the images.  [default: STATE/images]")
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
        for directory in (plan.state.config_dir, plan.state.images_dir):
            Path(directory).mkdir(parents=True, exist_ok=True)
        if detach:
            _show(detach_box(plan, seconds, descriptor))
            return
        sys.exit(run_box(plan, seconds, descriptor, _tell, lambda error: _announce(state.resolve(), error)))


@command.command()
@_state_option
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
@_state_option
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(state: Path, output: str) -> None:
    """Say what runs where."""
    found = _current_state(state.resolve())
    if output == "json":
        click.echo(json.dumps(asdict(found) if found else {"state": box_state.STOPPED}, indent=2))
    elif found:
        _show(found)
    else:
        click.echo(f"box {state.resolve()} is down")


@command.command()
@_state_option
@click.option(
    "-f", "--follow", "following", is_flag=True, help="Go on until Ctrl-C or until the box is down."
)
@click.option(
    "--lines", type=click.IntRange(min=0), default=50, show_default=True, help="Last lines of each log."
)
@click.argument("service", type=click.Choice(LOG_NAMES), required=False)
def logs(state: Path, following: bool, lines: int, service: str | None) -> None:
    """Show what the services of the box logged."""
    directory = state.resolve()
    files = [(name, log_file(directory, name)) for name in ([service] if service else LOG_NAMES)]
    prefix = "" if service else "{:<12} "

    def wait() -> bool:
        time.sleep(_FOLLOW_PAUSE)
        return lock.is_held(directory)

    if not following:
        for name, path in files:
            for text in last_lines(path, lines):
                click.echo(prefix.format(name) + text)
        return
    for line in follow(files, wait, lines):
        click.echo(prefix.format(line.service) + line.text)


def main() -> None:
    """Run the command; the one table from errors to exit codes (contract §12)."""
    try:
        command()
    except NodeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(4)
    except OSError as error:  # what was to be written, read or started, and why it can't be
        click.echo(f"Error: {error.filename or 'the system'}: {error.strerror or error}", err=True)
        sys.exit(4)


def _current_state(state: Path) -> BoxState | None:
    """The state file, corrected where the lock says that nothing runs."""
    found = read_state(state)
    if found is None or lock.is_held(state):
        return found
    stopped = tuple(evolve(service, pid=None, state=box_state.STOPPED) for service in found.services)
    return evolve(found, state=box_state.STOPPED, supervisor_pid=None, services=stopped)


def _show(state: BoxState) -> None:
    click.echo(state_text(state, datetime.now(UTC)))


def _tell(event: str) -> None:
    with suppress(BrokenPipeError):  # whoever read has left; the box stays, and its log has it all
        click.echo(f"  {event}", err=True)


def _announce(state: Path, error: str) -> None:
    with suppress(BrokenPipeError):
        if error:
            click.echo(f"Error: {error}", err=True)
            return
        found = read_state(state)
        if found:
            _show(found)
        click.echo("Ctrl-C stops it.", err=True)
