"""`artifactctl validate-id`."""

from __future__ import annotations

from pathlib import Path

import click

from artifactctl import cli_options as use


@click.command("validate-id")
@use.options(use.artifact, use.strict, use.output, use.verbose)
def validate_id_command(artifact: Path, strict: bool, output: str) -> None:
    """Check the ids of a manifest; print them."""
    from artifactctl import report, report_json  # noqa: PLC0415 - as below
    from artifactctl.api import ValidateIdRequest  # noqa: PLC0415 - --help doesn't need it
    from artifactctl.entry_ids import validate_id  # noqa: PLC0415 - as above

    result = validate_id(ValidateIdRequest(artifact=artifact, strict=strict))
    use.echo_warnings(result.warnings)
    if output == "json":
        click.echo(report_json.text_of(report_json.ids_json(result)))
    else:
        click.echo(report.ids_text(result))
