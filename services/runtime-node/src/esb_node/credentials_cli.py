"""`esb-node credentials`: where the credentials of the box are and how to call it with them."""

from __future__ import annotations

from pathlib import Path

import click

from esb_node.credentials import export_lines, how_to_use, read_credentials, variables
from esb_node.errors import NodeError
from esb_node.options import command_text, current_state, state_option


@click.command()
@state_option
@click.option("--export", is_flag=True, help="Print shell lines that set endpoints and keys: secrets too.")
def credentials(state: Path, export: bool) -> None:
    """Say where the credentials of the box are and how to call it with them."""
    found = current_state(state.resolve())
    if found is None:
        raise NodeError(f"no box has run in {state.resolve()}; start it with: {command_text('up', state)}")
    values = variables(found, read_credentials(Path(found.credentials_file)))
    if export:
        click.echo(export_lines(values))
        return
    click.echo(how_to_use(found, command_text("credentials", state) + " --export"), nl=False)
