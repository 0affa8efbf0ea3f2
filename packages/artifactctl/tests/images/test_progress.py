from __future__ import annotations

import io
import json

import pytest
from artifact_contract.ids import EntryId
from artifactctl.images.api import ImageResult, ImageStatus, ImageStep
from artifactctl.images.plan import ImagePlan
from artifactctl.images.progress import LiveTable, Progress, shown
from rich.console import Console
from rich.live import Live

ENTRY = EntryId("svc-00000000")


def run(progress: Progress) -> None:
    plan = ImagePlan("demo:1", ENTRY, "Dockerfile", ("a",))
    for step in ImageStep:
        progress.step(plan, step)
    progress.done(ImageResult("demo:1", ENTRY, ("a",), "Dockerfile", ImageStatus.BUILT))


def lines_of(kind: str) -> list[str]:
    said: list[str] = []
    with shown(kind, said.append) as progress:
        run(progress)
    return said


def test_a_log_has_a_line_for_each_image_when_it_is_done() -> None:
    assert lines_of("plain") == ["built   demo:1  a"]
    assert lines_of("off") == []


def test_a_machine_gets_an_object_for_every_step() -> None:
    events = [json.loads(line) for line in lines_of("json")]
    assert [event["event"] for event in events] == ["waiting", "building", "pushing", "built"]
    assert {event["ref"] for event in events} == {"demo:1"}
    assert all(event["seconds"] >= 0 for event in events)
    assert events[-1]["status"] == "built"


@pytest.mark.parametrize("step", [ImageStep.BUILDING, ImageStep.PUSHING])
def test_a_terminal_shows_what_is_worked_on_and_keeps_what_is_done(step: ImageStep) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    plan = ImagePlan("demo:1", ENTRY, "Dockerfile", ("a",))
    now = [1.0]
    table = LiveTable(console, lambda: now[0])
    with Live(get_renderable=table.drawn, console=console, transient=True, auto_refresh=False) as live:
        table.step(plan, ImageStep.WAITING)
        table.step(plan, step)
        now[0] = 8.0
        live.refresh()
        assert f"{step.value:8}  demo:1  7 s" in screen.getvalue()
        table.done(ImageResult("demo:1", ENTRY, ("a",), "Dockerfile", ImageStatus.FAILED))
    assert "failed  demo:1  a" in screen.getvalue()
