"""How the state of a box looks to a person."""

from __future__ import annotations

from datetime import datetime

from esb_node.box_state import READY, STOPPED, BoxState

_COLORS = {
    "ready": "green",
    "done": "green",
    "starting": "cyan",
    "running": "cyan",
    "idle": "dim",
    "stopped": "dim",
}
_TROUBLE = "yellow"


def print_state(state: BoxState, now: datetime) -> None:
    """Write the state to stdout: coloured on a terminal, plain elsewhere."""
    from rich.console import Console  # noqa: PLC0415 - takes as long to import as everything else together
    from rich.table import Table  # noqa: PLC0415 - the same
    from rich.text import Text  # noqa: PLC0415 - the same

    console = Console(highlight=False, soft_wrap=True)
    console.print(_headline(state, now), style=None if state.state == READY else _TROUBLE)
    if state.state == STOPPED:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("service", "state", "pid", "restarts", "address"):
        table.add_column(column, no_wrap=True, overflow="fold")
    for service in state.services:
        table.add_row(
            service.name,
            Text(service.state, style=_COLORS.get(service.state, _TROUBLE)),
            str(service.pid or "-"),
            str(service.restarts),
            service.address,
        )
    console.print(table)
    for line in _details(state):
        console.print(line)


def headline_url(state: BoxState) -> str:
    """The one address most people want."""
    return state.gateway_url


def _headline(state: BoxState, now: datetime) -> str:
    if state.state == STOPPED:
        return f"box {state.state_dir} is down"
    since = f" for {_duration(state.started_at, now)}" if state.started_at else ""
    return f"box {state.state_dir} is {state.state}{since}: {headline_url(state)}"


def _details(state: BoxState) -> list[str]:
    run = state.provisioner
    counts = ", ".join(f"{count} {name}" for name, count in run.counts.items()) or "nothing to do"
    lines = [f"config  {state.config_dir}", f"images  {state.images_dir}"]
    if run.state == "idle":
        lines.append("provisioned: no, nothing is applied yet")
    elif run.trouble:
        lines.append(f"provisioned: {run.generation or 'no'}; the last run {run.state}: {run.trouble}")
    else:
        lines.append(f"provisioned: generation {run.generation} ({run.state}: {counts})")
    lines += [f"{s.name}: {s.trouble}, see {s.log}" for s in state.services if s.trouble]
    return lines


def _duration(since: str, now: datetime) -> str:
    seconds = max(0, int((now - datetime.fromisoformat(since)).total_seconds()))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join([f"{number} {unit}" for number, unit in parts if number][:2]) or "0 s"
