"""`artifactctl history`, `rollback` and `status`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from artifactctl import cli_options as use


@click.command("history")
@use.options(use.out, use.output, use.verbose)
def history_command(config_dir: Path, output: str) -> None:
    """List the generations kept.

    The newest comes first, the current one is marked.
    """
    from artifactctl import report, report_json  # noqa: PLC0415 - as below
    from artifactctl.api import HistoryRequest  # noqa: PLC0415 - --help doesn't need it
    from artifactctl.report_problems import text_of  # noqa: PLC0415 - as below
    from artifactctl.timeline import history  # noqa: PLC0415 - as above

    result = history(HistoryRequest(config_dir=config_dir))
    use.echo_warnings(result.warnings)
    if output == "json":
        click.echo(text_of(report_json.history_json(result)))
    else:
        click.echo(report.history_text(result, verbose=use.is_verbose()))


@click.command("rollback")
@use.out
@click.option(
    "--to",
    type=click.IntRange(min=1),
    metavar="N",
    help="The generation to put in force.  [default: the newest one before the current]",
)
@use.options(use.lock_timeout, use.output, use.verbose)
def rollback_command(config_dir: Path, to: int | None, lock_timeout: float, output: str) -> None:
    """Put an earlier generation in force.

    Nothing is built, merged or copied: one link changes.
    """
    from artifactctl import report, report_json  # noqa: PLC0415 - as below
    from artifactctl.api import RollbackRequest  # noqa: PLC0415 - --help doesn't need it
    from artifactctl.report_problems import text_of  # noqa: PLC0415 - as below
    from artifactctl.timeline import rollback  # noqa: PLC0415 - as above

    request = RollbackRequest(config_dir=config_dir, now=datetime.now(UTC), to=to, lock_timeout=lock_timeout)
    result = rollback(request, on_wait=use.echo_wait)
    use.echo_warnings(result.warnings)
    if output == "json":
        click.echo(text_of(report_json.rolled_back_json(result)))
    else:
        click.echo(report.rolled_back_text(result))


@click.command("status")
@use.options(use.out, use.output, use.verbose)
def status_command(config_dir: Path, output: str) -> None:
    """Show the current generation and edits.

    Edits are files that are not what the generation was written with.
    """
    from artifactctl import report, report_json  # noqa: PLC0415 - as below
    from artifactctl.api import StatusRequest  # noqa: PLC0415 - --help doesn't need it
    from artifactctl.report_problems import text_of  # noqa: PLC0415 - as below
    from artifactctl.timeline import status  # noqa: PLC0415 - as above

    result = status(StatusRequest(config_dir=config_dir))
    if output == "json":
        click.echo(text_of(report_json.status_json(result)))
    else:
        click.echo(report.status_text(result))
