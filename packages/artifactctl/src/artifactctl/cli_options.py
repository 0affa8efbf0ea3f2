"""The options that commands share, and how warnings and waiting are said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from artifact_contract.errors import Problem

    from artifactctl.lock import LockWait

Command = TypeVar("Command", bound=Callable[..., Any])
VERBOSE = "artifactctl.verbose"

_PATH = click.Path(path_type=Path)

artifact = click.option(
    "--artifact", required=True, type=_PATH, metavar="FILE", help="The manifest, artifact.yml."
)
out = click.option(
    "--out",
    "config_dir",
    required=True,
    envvar="CONFIG_DIR",
    show_envvar=True,
    type=_PATH,
    metavar="DIR",
    help="CONFIG_DIR: where the runtime config is put, and services read it.",
)
secret_env = click.option(
    "--secret-env",
    type=_PATH,
    metavar="FILE",
    help="A dotenv file with the secrets that the artifact requires.",
)
strict = click.option("--strict", is_flag=True, help="Take what is odd about the artifact for an error.")
output = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How the result is printed.",
)
keep = click.option(
    "--keep",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="How many generations to keep besides the current one.",
)
lock_timeout = click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another writer of the same directory.",
)


def _remember(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta[VERBOSE] = value


verbose = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    expose_value=False,
    callback=_remember,
    help="Show names in full, and the causes of a failure.",
)


def options(*decorators: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """All these options, in this order in `--help`."""

    def decorate(command: Command) -> Command:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def is_verbose() -> bool:
    """Whether the running command was given `-v`."""
    return bool(click.get_current_context().meta.get(VERBOSE))


def echo_warnings(warnings: Iterable[Problem]) -> None:
    """Say on stderr what is odd, a line each."""
    for warning in warnings:
        click.echo(f"{click.style('warning:', fg='yellow')} {warning}", err=True)


def echo_wait(wait: LockWait) -> None:
    """Say on stderr whom the command waits for."""
    click.echo(str(wait), err=True)
