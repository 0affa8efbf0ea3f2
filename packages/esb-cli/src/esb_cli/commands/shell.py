"""The commands that need no project and do no work: version, help, completion."""

import click
from click.shell_completion import get_completion_class

from esb_cli.version import __version__

__all__ = ["completion", "help_", "version"]


@click.command
def version() -> None:
    """Print the version."""
    click.echo(f"esb {__version__}")


@click.command("help")
@click.argument("command", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, command: tuple[str, ...]) -> None:
    """Show the help of COMMAND, or of esb."""
    shown = ctx.find_root()
    for name in command:
        group = shown.command
        found = group.get_command(shown, name) if isinstance(group, click.Group) else None
        if found is None:
            raise click.UsageError(f"no such command: {' '.join(command)}")
        shown = click.Context(found, info_name=name, parent=shown)
    click.echo(shown.get_help())


@click.command(short_help="Print a completion script.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    r"""Print the script that makes SHELL complete esb's commands and options.

    \b
    bash:  eval "$(esb completion bash)"        in ~/.bashrc
    zsh:   eval "$(esb completion zsh)"         in ~/.zshrc
    fish:  esb completion fish | source         in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "esb", "_ESB_COMPLETE").source())
