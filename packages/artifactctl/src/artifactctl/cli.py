"""`artifactctl`: the commands by name, and the one table of exit codes (contract §12).

A command's module is imported when the command is used, and what it needs when it runs: `--help` and a
mistyped option cost nothing.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from importlib import import_module
from typing import Any

import click

from artifactctl.cli_options import VERBOSE, echo_warnings
from artifactctl.version import __version__

DONE, BUG, USAGE, REJECTED, WORLD_FAILED = 0, 1, 2, 3, 4
INTERRUPTED, BROKEN_PIPE = 130, 141

# more objects than those thrown away before the interpreter looks for garbage; 700 if nobody says
_ALLOCATIONS = 50_000

_COMMANDS = {
    "validate-id": "cli_validate_id:validate_id_command",
    "merge": "cli_apply:merge_command",
    "prepare-images": "cli_prepare_images:prepare_images_command",
    "apply": "cli_apply:apply_command",
    "plan": "cli_apply:plan_command",
    "history": "cli_generations:history_command",
    "rollback": "cli_generations:rollback_command",
    "status": "cli_generations:status_command",
}


def exit_code(error: BaseException) -> int:
    """The exit code for what a command raised; `BUG` when nobody expected it."""
    from artifact_contract.errors import ArtifactError  # noqa: PLC0415 - only where something went wrong

    from artifactctl.errors import RequestError, WorldError  # noqa: PLC0415 - as above

    table: list[tuple[type[BaseException], int]] = [
        (RequestError, USAGE),
        (ArtifactError, REJECTED),
        (WorldError, WORLD_FAILED),
        (BrokenPipeError, BROKEN_PIPE),
        (OSError, WORLD_FAILED),
        (KeyboardInterrupt, INTERRUPTED),
    ]
    return next((code for kind, code in table if isinstance(error, kind)), BUG)


class _Commands(click.Group):
    """A group whose commands are imported when they are asked for, and whose failures have exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name = _COMMANDS[cmd_name].split(":")
        command: click.Command = getattr(import_module(f"artifactctl.{module}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            # Nobody reads any more. Python would try to flush again at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(BROKEN_PIPE)
        except (Exception, KeyboardInterrupt) as error:  # the outermost point: an unknown error stays one
            code = exit_code(error)
            if code == BUG:
                raise
            _report(error, code, verbose=bool(ctx.meta.get(VERBOSE)))
            ctx.exit(code)
        return result


def _report(error: BaseException, code: int, *, verbose: bool) -> None:
    """Say on stderr what went wrong, without a traceback."""
    if code == INTERRUPTED:
        click.echo("interrupted", err=True)
        return
    echo_warnings(getattr(error, "warnings", ()))
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{os.fsdecode(error.filename)}: {error.strerror}"
    for line in text.splitlines() or [type(error).__name__]:
        click.echo(f"{click.style('error:', fg='red')} {line}", err=True)
    cause = error.__cause__
    while verbose and cause is not None:
        click.echo(f"  caused by {type(cause).__name__}: {cause}", err=True)
        cause = cause.__cause__


_EPILOG = """\b
Exit codes: 0 done, 2 usage, 3 the artifact was rejected,
4 the world failed (disk, lock, registry, engine), 1 a bug."""


@click.command(cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="artifactctl", message="%(prog)s %(version)s")
def cli() -> None:
    """Apply deploy artifacts: check them, prepare their images, put their config in force."""


def main() -> None:
    """The console script."""
    # Nearly all that a run makes it needs to its end: looking for garbage as often as usual finds none.
    gc.set_threshold(_ALLOCATIONS)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal has no letters for is shown as well as it can be.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        cli(prog_name="artifactctl")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        # The interpreter looks once more at its end, through everything; all of it goes then anyway.
        gc.freeze()
