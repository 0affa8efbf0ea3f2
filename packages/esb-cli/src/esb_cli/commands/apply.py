"""`esb artifact apply`."""

import click

from esb_cli.cli import Surroundings

__all__ = ["apply_command"]


@click.command("apply")
@click.pass_obj
def apply_command(here: Surroundings) -> None:
    """Apply an artifact."""
