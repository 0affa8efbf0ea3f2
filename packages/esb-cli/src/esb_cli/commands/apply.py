"""`esb artifact apply`: the applier's function, with the project's artifact as its default."""

import json
from pathlib import Path

import click

from esb_cli.cli import SomePath, Surroundings, warn

__all__ = ["apply_command"]

PATH = SomePath(path_type=Path)
HELP = {
    "artifact": "The manifest.  [default: artifact/artifact.yml in the project]",
    "out": "CONFIG_DIR: where the runtime config is put, and services read it.",
    "secret_env": "A dotenv file with the secrets that the artifact requires.",
    "strict": "Take what is odd about the artifact for an error.",
    "keep": "How many generations to keep besides the current one.",
    "lock_timeout": "How long to wait for another writer of the same directory.",
    "output": "How the result is printed.",
}


@click.command("apply", short_help="Check an artifact and put it in force.")
@click.option("--artifact", type=PATH, metavar="FILE", help=HELP["artifact"])
@click.option(
    "--out", required=True, envvar="CONFIG_DIR", show_envvar=True, type=PATH, metavar="DIR", help=HELP["out"]
)
@click.option("--secret-env", type=PATH, metavar="FILE", help=HELP["secret_env"])
@click.option("--strict", is_flag=True, help=HELP["strict"])
@click.option(
    "--keep", type=click.IntRange(min=0), default=10, show_default=True, metavar="N", help=HELP["keep"]
)
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0), default=60, show_default=True, metavar="SECONDS", help=HELP["lock_timeout"],
)  # fmt: skip
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help=HELP["output"]
)
@click.pass_context
def apply_command(  # noqa: PLR0917 - click passes options by name
    context: click.Context,
    artifact: Path | None,
    out: Path,
    secret_env: Path | None,
    strict: bool,
    keep: int,
    lock_timeout: float,
    output: str,
) -> None:
    """Check an artifact and put it in force: all of its runtime config, or nothing.

    The same as `artifactctl apply`, for the project this directory belongs to.
    """
    from artifactctl import (  # noqa: PLC0415 - slow, and esb artifact --help reads this module
        ApplyRequest,
        applied_json,
        applied_text,
        apply,
    )

    from esb_cli.project import find_project  # noqa: PLC0415 - see above

    here: Surroundings = context.obj
    project = find_project(here.cwd)
    request = ApplyRequest(
        artifact=artifact or project.root / "artifact/artifact.yml",
        config_dir=out,
        now=here.now,
        secret_env=secret_env,
        strict=strict,
        keep=keep,
        lock_timeout=lock_timeout,
        command="esb artifact apply",
    )
    result = apply(request, on_wait=lambda wait: click.echo(str(wait), err=True))
    for warning in result.warnings:
        warn(str(warning))
    if output == "json":
        click.echo(json.dumps(applied_json(result), indent=2, ensure_ascii=False))
    else:
        click.echo(applied_text(result, verbose=bool(context.find_root().params["verbose"])))
