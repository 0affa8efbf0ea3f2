"""`esb`: its commands, what they may know of their surroundings, the table of exit codes (contract §12)."""

import importlib
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from esb_cli.version import __version__

__all__ = ["SomePath", "Surroundings", "esb", "exit_code", "main", "warn"]

EPOCH = "SOURCE_DATE_EPOCH"
USAGE, REJECTED, WORLD_FAILED = 2, 3, 4
INTERRUPTED, BROKEN_PIPE = 130, 141
EPILOG = """\b
Exit codes: 0 done, 2 usage, 3 the template or the artifact was rejected,
4 the world failed (disk, lock, package index), 1 a bug."""


class Surroundings(NamedTuple):  # attrs would take a fifth of the time of `esb --help`
    """What a command may know of the process it runs in; nothing below the commands reads these itself."""

    cwd: Path
    environ: Mapping[str, str]
    now: datetime
    fixed_time: bool

    def absolute(self, path: str | Path) -> Path:
        """Return a path as meant by who typed it."""
        return Path(os.path.abspath(self.cwd / path))  # noqa: PTH100 - resolve() would follow links

    def shown(self, path: Path) -> str:
        """Return a path as short as it can be said here."""
        return str(path.relative_to(self.cwd)) if path.is_relative_to(self.cwd) else str(path)


def exit_code(error: BaseException) -> int | None:
    """Return the exit code an error stands for; None: a bug, which shows its traceback and gives 1."""
    # Imported here: most runs end well.
    from artifact_contract.errors import ArtifactError  # noqa: PLC0415 - see above
    from artifactctl import RequestError  # noqa: PLC0415 - see above
    from artifactctl import WorldError as ApplierWorldError  # noqa: PLC0415 - see above

    from esb_cli.errors import StrictError, UsageError, WorldError  # noqa: PLC0415 - see above

    table: list[tuple[type[BaseException], int]] = [
        (UsageError, USAGE),
        (RequestError, USAGE),
        (ArtifactError, REJECTED),
        (StrictError, REJECTED),
        (WorldError, WORLD_FAILED),
        (ApplierWorldError, WORLD_FAILED),
        (BrokenPipeError, BROKEN_PIPE),
        (OSError, WORLD_FAILED),
        (KeyboardInterrupt, INTERRUPTED),
    ]
    return next((code for kind, code in table if isinstance(error, kind)), None)


def say_error(error: BaseException, *, verbose: bool) -> None:
    """Say on stderr what went wrong, and with `verbose` why."""
    for warning in getattr(error, "warnings", ()):
        warn(str(warning))
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{os.fsdecode(error.filename)}: {error.strerror}"
    for line in text.splitlines() or [type(error).__name__]:
        click.echo(f"{click.style('error:', fg='red')} {line}", err=True)
    cause = error.__cause__ if verbose else None
    while cause is not None:
        click.echo(f"  caused by {type(cause).__name__}: {cause}", err=True)
        cause = cause.__cause__


class SomePath(click.Path):
    """A path that isn't empty: an empty one is a variable that was forgotten, not the current directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if value == "":
            self.fail("expected a path, found nothing", param, ctx)
        return super().convert(value, param, ctx)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used: `lazy` has their place by name."""

    def __init__(self, *args: object, lazy: Mapping[str, str], **kwargs: object) -> None:
        """Take click's arguments and `{"name": "module:attribute"}`."""
        super().__init__(*args, **kwargs)  # type: ignore[arg-type] # click's own arguments, passed on
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in their order."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported."""
        if cmd_name not in self.lazy:
            return None
        module, _, attribute = self.lazy[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        return command if isinstance(command, click.Command) else None


class RootGroup(LazyGroup):
    """Turns errors into messages and exit codes."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            # Nobody reads any more; Python would flush once more at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(BROKEN_PIPE)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as error:
            code = exit_code(error)
            if code is None:
                raise
            say_error(error, verbose=bool(ctx.params.get("verbose")))
            ctx.exit(code)
        return result


@click.group(
    cls=RootGroup,
    lazy={
        "artifact": "esb_cli.cli:artifact",
        "init": "esb_cli.commands.init:init",
        "completion": "esb_cli.commands.shell:completion",
        "help": "esb_cli.commands.shell:help_",
        "version": "esb_cli.commands.shell:version",
    },
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)
@click.version_option(__version__, prog_name="esb", message="%(prog)s %(version)s")
@click.option("-v", "--verbose", is_flag=True, help="Say what caused an error.")
@click.pass_context
def esb(ctx: click.Context, verbose: bool) -> None:
    """Turn AWS SAM templates into artifacts that an edge serverless box runs."""
    ctx.obj = _surroundings(os.environ)


@click.group(
    cls=LazyGroup,
    lazy={
        "generate": "esb_cli.commands.generate:generate_command",
        "apply": "esb_cli.commands.apply:apply_command",
    },
)
def artifact() -> None:
    """Make deploy artifacts, and apply them."""


def warn(text: str) -> None:
    """Print a warning on stderr."""
    for line in text.splitlines():
        click.echo(f"{click.style('warning:', fg='yellow')} {line}", err=True)


def _surroundings(environ: Mapping[str, str]) -> Surroundings:
    epoch = environ.get(EPOCH)
    if epoch is None:
        return Surroundings(Path.cwd(), environ, datetime.now(UTC), fixed_time=False)
    try:
        moment = datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError) as error:
        from esb_cli.errors import UsageError  # noqa: PLC0415 - slow, and seldom needed

        raise UsageError(f"{EPOCH}: expected seconds since 1970, found {epoch!r}") from error
    return Surroundings(Path.cwd(), environ, moment, fixed_time=True)


def main() -> None:
    """Run `esb`."""
    try:
        esb(prog_name="esb")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
