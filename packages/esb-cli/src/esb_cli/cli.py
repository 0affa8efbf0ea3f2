"""`esb`: its commands, what they may know of their surroundings, the table of exit codes (contract §12)."""

import importlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
from attrs import frozen

from esb_cli.errors import UsageError

__all__ = ["Surroundings", "esb", "esb_version", "exit_code", "main", "warn"]

EPOCH = "SOURCE_DATE_EPOCH"


@frozen
class Surroundings:
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

    from esb_cli.errors import StrictError, WorldError  # noqa: PLC0415 - see above

    table: list[tuple[int, tuple[type[Exception], ...]]] = [
        (2, (UsageError, RequestError)),
        (3, (ArtifactError, StrictError)),
        (4, (WorldError, ApplierWorldError, OSError)),
    ]
    return next((code for code, kinds in table if isinstance(error, kinds)), None)


class Failure(click.ClickException):
    """An error that is no bug, on its way out."""

    def __init__(self, error: Exception, code: int, *, verbose: bool) -> None:
        """Take the error, its exit code, and whether to say what caused it."""
        lines = str(error).splitlines() or [type(error).__name__]
        cause = error.__cause__ if verbose else None
        while cause is not None:
            lines.append(f"  caused by {type(cause).__name__}: {cause}")
            cause = cause.__cause__
        super().__init__("\n".join(lines))
        self.exit_code = code  # type: ignore[misc] # click reads it from the instance

    def show(self, file: object = None) -> None:
        """Print each line of the message on stderr."""
        for line in self.message.splitlines():
            click.secho(line if line.startswith(" ") else f"esb: {line}", err=True)


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
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            code = exit_code(error)
            if code is None:
                raise
            raise Failure(error, code, verbose=bool(ctx.params.get("verbose"))) from error


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
)
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


def esb_version() -> str:
    """Return the version of this tool."""
    from importlib.metadata import version  # noqa: PLC0415 - slow, and seldom needed

    return version("esb-cli")


def warn(text: str) -> None:
    """Print a warning on stderr."""
    for line in text.splitlines():
        click.secho(f"warning: {line}", fg="yellow", err=True)


def _surroundings(environ: Mapping[str, str]) -> Surroundings:
    epoch = environ.get(EPOCH)
    if epoch is None:
        return Surroundings(Path.cwd(), environ, datetime.now(UTC), fixed_time=False)
    try:
        moment = datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{EPOCH}: expected seconds since 1970, found {epoch!r}") from error
    return Surroundings(Path.cwd(), environ, moment, fixed_time=True)


def main() -> None:
    """Run `esb`."""
    esb(prog_name="esb")
