"""docs/esb-cli.md names every command and every option, and none that doesn't exist."""

import re
from pathlib import Path

import click
import pytest
from esb_cli.cli import esb
from esb_cli.function_files import REQUIREMENTS_LAYER
from esb_cli.staging import IGNORED, IGNORED_SUFFIXES

PAGE = (Path(__file__).resolve().parents[3] / "docs/esb-cli.md").read_text(encoding="utf-8")


def commands(group=esb, above=("esb",)):
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))
        else:
            yield " ".join((*above, name)), command


COMMANDS = dict(commands())


def section(name):
    """Return the part of the page whose heading names the command."""
    parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    return next((part for part in parts if f"`{name}" in part.splitlines()[0]), "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_section_with_all_its_options(name):
    assert section(name)
    options = [
        option for one in COMMANDS[name].params if isinstance(one, click.Option) for option in one.opts
    ]
    assert [option for option in options if f"`{option}" not in section(name)] == []


def test_the_options_of_esb_itself_are_there():
    options = [option for one in esb.params for option in one.opts]
    assert [option for option in options if option not in PAGE] == []


def test_no_option_is_there_that_does_not_exist():
    known = {option for one in [esb, *COMMANDS.values()] for param in one.params for option in param.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) - known == {"--help"}


def test_everything_that_stays_behind_is_there():
    names = [*IGNORED, *(f"*{suffix}" for suffix in IGNORED_SUFFIXES), ".env", "node_modules", "pyvenv.cfg"]
    assert [name for name in names if f"`{name}`" not in PAGE] == []
    assert REQUIREMENTS_LAYER in PAGE
