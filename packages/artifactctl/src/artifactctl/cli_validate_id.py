"""`artifactctl validate-id`."""

from __future__ import annotations

from pathlib import Path

import click

from artifactctl import cli_options as use


@click.command("validate-id")
@use.options(use.artifact, use.strict, use.output, use.verbose)
def validate_id_command(artifact: Path, strict: bool, output: str) -> None:
    """Check the ids of a manifest; print them."""
    from artifactctl.entry_ids import ValidateIdRequest, validate_id  # noqa: PLC0415 - --help needs none of it
    from artifactctl.report_problems import problems_json, text_of  # noqa: PLC0415 - as above

    result = validate_id(ValidateIdRequest(artifact=artifact, strict=strict))
    use.echo_warnings(result.warnings)
    if output == "json":
        entries = [{"id": entry.id, "ref": entry.ref} for entry in result.entries]
        warnings = problems_json(result.warnings)
        click.echo(text_of({"artifact": str(artifact), "entries": entries, "warnings": warnings}))
    else:
        click.echo("\n".join(entry.id for entry in result.entries))
