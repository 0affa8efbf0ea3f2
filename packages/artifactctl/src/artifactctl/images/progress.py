"""What is being done to which image, while it is done: for people on a terminal, in a log, or for machines.

The result is on stdout; all of this is on stderr.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from attrs import define, field

from artifactctl.images.api import ImageResult, ImageStatus, ImageStep
from artifactctl.images.plan import ImagePlan
from artifactctl.images.report import image_json, progress_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Say = Callable[[str], None]


class Progress(Protocol):
    """Somebody who is told of every image; `step` comes from any thread."""

    def step(self, plan: ImagePlan, step: ImageStep) -> None:
        """This is being done to an image now."""

    def done(self, image: ImageResult) -> None:
        """An image is finished."""


@define(eq=False)
class Quiet:
    """Nobody wants to know."""

    def step(self, plan: ImagePlan, step: ImageStep) -> None:
        """Say nothing."""

    def done(self, image: ImageResult) -> None:
        """Say nothing."""


@define(eq=False)
class PlainLines:
    """A line for each image when it is done."""

    say: Say

    def step(self, plan: ImagePlan, step: ImageStep) -> None:
        """Say nothing: a log wants to know how it ended."""

    def done(self, image: ImageResult) -> None:
        """Say how it ended."""
        self.say(progress_text(image))


@define(eq=False)
class JsonLines:
    """A JSON object a line: `event`, `ref`, `functions`, `seconds` since the start; then the result."""

    say: Say
    clock: Callable[[], float] = monotonic
    _start: float = field(init=False)
    _guard: Lock = field(factory=Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._start = self.clock()

    def step(self, plan: ImagePlan, step: ImageStep) -> None:
        """One line."""
        self._event({"event": step.value, "ref": plan.ref, "functions": list(plan.functions)})

    def done(self, image: ImageResult) -> None:
        """One line, with the result."""
        self._event({"event": image.status.value, **image_json(image)})

    def _event(self, event: dict[str, object]) -> None:
        seconds = round(self.clock() - self._start, 3)
        with self._guard:
            self.say(json.dumps({**event, "seconds": seconds}, ensure_ascii=False))


@define(eq=False)
class LiveTable:
    """What is being worked on, redrawn in place; what is done scrolls away above it."""

    console: Console
    clock: Callable[[], float] = monotonic
    _running: dict[str, tuple[ImageStep, float]] = field(factory=dict, init=False)
    _waiting: set[str] = field(factory=set, init=False)
    _ended: dict[ImageStatus, int] = field(factory=dict, init=False)
    _guard: Lock = field(factory=Lock, init=False)

    def step(self, plan: ImagePlan, step: ImageStep) -> None:
        """Note it for the next time it is drawn."""
        with self._guard:
            if step is ImageStep.WAITING:
                self._waiting.add(plan.ref)
            else:
                self._waiting.discard(plan.ref)
                since = self._running.get(plan.ref, (step, self.clock()))[1]
                self._running[plan.ref] = step, since

    def done(self, image: ImageResult) -> None:
        """Print the image above."""
        from rich.text import Text  # noqa: PLC0415 - only a terminal needs it

        style = {ImageStatus.FAILED: "red", ImageStatus.BUILT: "green"}.get(image.status, "dim")
        with self._guard:
            self._waiting.discard(image.ref)
            self._running.pop(image.ref, None)
            self._ended[image.status] = self._ended.get(image.status, 0) + 1
        self.console.print(Text(progress_text(image), style=style), soft_wrap=True)

    def drawn(self) -> Text:
        """What is being worked on now, and how many images have ended how."""
        from rich.text import Text  # noqa: PLC0415 - as above

        with self._guard:
            return Text("\n".join(self._lines(self.clock())))

    def _lines(self, now: float) -> list[str]:
        lines = [
            f"{step.value:8}  {ref}  {now - since:.0f} s"
            for ref, (step, since) in sorted(self._running.items(), key=lambda one: one[1][1])
        ]
        ended = [f"{self._ended[status]} {status.value}" for status in ImageStatus if status in self._ended]
        return [*lines, ", ".join([*ended, f"{len(self._waiting)} waiting"])]


@contextmanager
def shown(kind: str, say: Say) -> Iterator[Progress]:
    """The progress display of this kind: `live`, `plain`, `json` or `off`."""
    if kind == "live":
        from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
        from rich.live import Live  # noqa: PLC0415 - as above

        table = LiveTable(Console(stderr=True))
        with Live(get_renderable=table.drawn, console=table.console, transient=True, refresh_per_second=8):
            yield table
    elif kind == "json":
        yield JsonLines(say)
    else:
        yield PlainLines(say) if kind == "plain" else Quiet()
