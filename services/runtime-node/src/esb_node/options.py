"""What every command of `esb-node` shares: the box it is about."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from esb_node import box_state, lock
from esb_node.box_state import BoxState, read_state

DEFAULT_STATE = Path(".esb/box")
directory = click.Path(path_type=Path, file_okay=False)
state_option = click.option(
    "--state", type=directory, default=DEFAULT_STATE, show_default=True, help="The directory of the box."
)


def command_text(name: str, state: Path) -> str:
    """A command for this box as a person types it."""
    return f"esb-node {name}" + ("" if state == DEFAULT_STATE else f" --state {shlex.quote(str(state))}")


def current_state(state: Path) -> BoxState | None:
    """The state file, corrected where the lock says that nothing runs."""
    held, found = lock.is_held(state), read_state(state)
    if found is None or held:
        return found
    return box_state.stopped(found)
