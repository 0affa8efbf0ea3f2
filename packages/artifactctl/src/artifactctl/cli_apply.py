"""`artifactctl apply`, `merge` and `plan`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from artifactctl import cli_options as use

if TYPE_CHECKING:
    from artifactctl.api import ApplyResult

# What `plan --exit-code` returns when there is something to change (contract §12).
_CHANGES = 10


@click.command("apply")
@use.options(
    *(use.artifact, use.out, use.secret_env, use.strict, use.keep, use.lock_timeout),
    *(use.output, use.verbose),
)
def apply_command(
    *,
    artifact: Path,
    config_dir: Path,
    secret_env: Path | None,
    strict: bool,
    keep: int,
    lock_timeout: float,
    output: str,
) -> None:
    """Check an artifact and put it in force.

    All of its runtime config, or nothing: what is in force changes in one step.
    """
    from artifactctl.api import ApplyRequest  # noqa: PLC0415 - --help doesn't need it
    from artifactctl.transaction import apply  # noqa: PLC0415 - as above

    request = ApplyRequest(
        artifact=artifact,
        config_dir=config_dir,
        now=datetime.now(UTC),
        secret_env=secret_env,
        strict=strict,
        keep=keep,
        lock_timeout=lock_timeout,
    )
    _show(apply(request, on_wait=use.echo_wait), output)


@click.command("merge")
@use.options(
    *(use.artifact, use.out, use.strict, use.keep, use.lock_timeout, use.output, use.verbose),
)
def merge_command(
    *, artifact: Path, config_dir: Path, strict: bool, keep: int, lock_timeout: float, output: str
) -> None:
    """Apply without asking for secrets.

    Everything else that apply does is done and checked.
    """
    from artifactctl.api import MergeRequest  # noqa: PLC0415 - --help doesn't need it
    from artifactctl.transaction import merge  # noqa: PLC0415 - as above

    request = MergeRequest(
        artifact=artifact,
        config_dir=config_dir,
        now=datetime.now(UTC),
        strict=strict,
        keep=keep,
        lock_timeout=lock_timeout,
    )
    _show(merge(request, on_wait=use.echo_wait), output)


@click.command("plan")
@use.options(use.artifact, use.out, use.secret_env, use.strict, use.output)
@click.option("--exit-code", is_flag=True, help="Return 10 when there is something to change.")
@use.verbose
@click.pass_context
def plan_command(
    context: click.Context,
    *,
    artifact: Path,
    config_dir: Path,
    secret_env: Path | None,
    strict: bool,
    output: str,
    exit_code: bool,
) -> None:
    """Show what apply would change; write nothing."""
    from artifactctl import report, report_json  # noqa: PLC0415 - as below
    from artifactctl.api import PlanRequest  # noqa: PLC0415 - --help doesn't need it
    from artifactctl.report_problems import text_of  # noqa: PLC0415 - as below
    from artifactctl.transaction import plan  # noqa: PLC0415 - as above

    request = PlanRequest(artifact=artifact, config_dir=config_dir, secret_env=secret_env, strict=strict)
    result = plan(request)
    use.echo_warnings(result.warnings)
    if output == "json":
        click.echo(text_of(report_json.plan_json(result)))
    else:
        click.echo(report.plan_text(result, verbose=use.is_verbose()))
    context.exit(_CHANGES if exit_code and result.changed else 0)


def _show(result: ApplyResult, output: str) -> None:
    from artifactctl import report, report_json  # noqa: PLC0415 - --help doesn't need them
    from artifactctl.report_problems import text_of  # noqa: PLC0415 - as above

    use.echo_warnings(result.warnings)
    if output == "json":
        click.echo(text_of(report_json.applied_json(result)))
    else:
        click.echo(report.applied_text(result, verbose=use.is_verbose()))
