"""How the state of a box looks to a person."""

from __future__ import annotations

from datetime import datetime

import click

from esb_node.box_state import READY, STOPPED, BoxState

_COLORS = {"ready": "green", "starting": "cyan", "stopped": "bright_black"}
_TROUBLE = "yellow"
_HEADER = ("service", "state", "pid", "restarts", "address")


def state_text(state: BoxState, now: datetime) -> str:
    """The state in lines, coloured; `click.echo` takes the colours out where they can't be shown."""
    head = click.style(
        _headline(state, now), fg=None if state.state in {READY, STOPPED} else _TROUBLE, bold=True
    )
    return head if state.state == STOPPED else "\n".join([head, *_services(state), *_details(state)])


def _headline(state: BoxState, now: datetime) -> str:
    if state.state == STOPPED:
        return f"box {state.state_dir} is down"
    since = f", up for {_duration(state.started_at, now)}" if state.started_at else ""
    return f"box {state.state_dir} is {state.state}{since}: {state.urls.get('gateway', '')}"


def _services(state: BoxState) -> list[str]:
    rows = [(s.name, s.state, str(s.pid or "-"), str(s.restarts), s.address) for s in state.services]
    widths = [max(map(len, column)) for column in zip(_HEADER, *rows, strict=True)]
    lines = [click.style(_line(_HEADER, widths), dim=True)]
    for row in rows:
        lines.append(_line(row, widths, _COLORS.get(row[1], _TROUBLE)))
    return lines


def _line(cells: tuple[str, ...], widths: list[int], color: str | None = None) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    padded[1] = click.style(padded[1], fg=color)
    return "  ".join(padded).rstrip()


def _details(state: BoxState) -> list[str]:
    troubles = [
        f"{s.name} {'was restarted: it ' if s.state == READY else ''}{s.trouble}, see {s.log}"
        for s in state.services
        if s.trouble
    ]
    return [f"config  {state.config_dir}", f"images  {state.images_dir}", _provisioned(state), *troubles]


def _provisioned(state: BoxState) -> str:
    run = state.provisioner
    counts = ", ".join(f"{count} {name}" for name, count in run.counts.items()) or "nothing to do"
    if run.state == "running":
        return "provisioning now"
    if run.trouble:
        return f"provisioned: {run.generation or 'no'}; the last run {run.state}: {run.trouble}"
    if run.generation is None:
        return "provisioned: no, nothing is applied yet"
    return f"provisioned: generation {run.generation}, {counts}"


def _duration(since: str, now: datetime) -> str:
    seconds = max(0, int((now - datetime.fromisoformat(since)).total_seconds()))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join([f"{number} {unit}" for number, unit in parts if number][:2]) or "0 s"
