"""`esb-node events`: events that were given up: list, show, replay, delete."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from esb_node.credentials import read_credentials
from esb_node.errors import NodeError
from esb_node.events import EventsClient, Listed
from esb_node.options import command_text, current_state, state_option

_COLUMNS = ("id", "function", "condition", "attempts", "failed_at")
_Command = Callable[..., None]
_output = click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)


def _where(command: _Command) -> _Command:
    """Which gateway, and the key to it; the box's own unless something else is said."""
    options = (
        state_option,
        click.option("--url", help="A gateway elsewhere.  [default: the box's]"),
        click.option(
            "--admin-key-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="A file with just an admin key.  [default: $ESB_ADMIN_KEY, else the box's credentials]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def events() -> None:
    """Events that were given up (dead letters): list, show, replay, delete."""


@events.command("list")
@_where
@click.option("--function", metavar="NAME", help="Those of one function.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@_output
def list_events(function: str | None, limit: int, output: str, **where: Any) -> None:
    """List them, oldest first; never their payloads."""
    found = _client(**where).list(function, limit)
    if output == "json":
        click.echo(json.dumps({"dead_letters": found.letters, "total": found.total}, indent=2))
    else:
        click.echo(_table(found))


@events.command()
@_where
@click.argument("event_id", metavar="ID")
@_output
def show(event_id: str, output: str, **where: Any) -> None:
    """Show one, with its payload and its function's last answer: they may hold secrets."""
    letter = _client(**where).show(event_id)
    click.echo(json.dumps(letter, indent=2) if output == "json" else _details(letter))


@events.command()
@_where
@click.argument("event_ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them; with --function all of a function.")
@click.option("--function", metavar="NAME", help="Those of one function, with --all.")
def replay(event_ids: tuple[str, ...], everything: bool, function: str | None, **where: Any) -> None:
    """Deliver them again, as new events with their old request ids."""
    if everything == bool(event_ids) or (function and not everything):
        raise click.UsageError("expected IDs, or --all, which --function narrows")
    client = _client(**where)
    if everything:
        count = client.replay_all(function)
    else:
        count = len(event_ids)
        for event_id in event_ids:
            client.replay(event_id)
    click.echo(f"replayed {count}")


@events.command()
@_where
@click.argument("event_ids", metavar="ID...", nargs=-1, required=True)
def delete(event_ids: tuple[str, ...], **where: Any) -> None:
    """Delete them for good."""
    client = _client(**where)
    for event_id in event_ids:
        client.delete(event_id)
    click.echo(f"deleted {len(event_ids)}")


def _client(state: Path, url: str | None, admin_key_file: Path | None) -> EventsClient:
    found = current_state(state.resolve())
    if url is None:
        if found is None:
            raise NodeError(
                f"no box has run in {state.resolve()}; start it with: {command_text('up', state)}"
            )
        url = found.urls["gateway"]
    if admin_key_file is not None:
        return EventsClient(url, _key(admin_key_file.read_text("utf-8").strip(), admin_key_file))
    admin_key = os.environ.get("ESB_ADMIN_KEY")  # an option would show it to everybody who lists processes
    if admin_key:
        return EventsClient(url, _key(admin_key, "ESB_ADMIN_KEY"))
    if found is None:
        raise NodeError(f"no admin key for {url}: give --admin-key-file, or ESB_ADMIN_KEY in the environment")
    return EventsClient(url, read_credentials(Path(found.credentials_file)).admin_key)


def _key(text: str, where: object) -> str:
    if not text or not (text.isascii() and text.isprintable()):
        raise NodeError(f"{where}: expected one line with an admin key")
    return text


def _table(found: Listed) -> str:
    if not found.letters:
        return "no dead letters"
    rows = [_COLUMNS, *(tuple(str(letter[name]) for name in _COLUMNS) for letter in found.letters)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    left = found.total - len(found.letters)
    return "\n".join([line.rstrip() for line in lines] + ([f"{found.total} in all"] if left > 0 else []))


def _details(letter: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in letter.items() if name not in ("payload", "answer")}
    width = max(map(len, plain))
    lines = [f"{name.ljust(width)}  {_harmless(value)}" for name, value in plain.items() if value is not None]
    return "\n".join(
        [*lines, "", "payload:", _pretty(letter["payload"]), "", "answer:", _pretty(letter["answer"])]
    )


def _harmless(value: object) -> str:
    """What others wrote, without characters that a terminal would obey."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in str(value))


def _pretty(text: str | None) -> str:
    if text is None:
        return "none"
    try:
        return json.dumps(json.loads(text), indent=2)
    except (ValueError, RecursionError):
        return _harmless(text)
