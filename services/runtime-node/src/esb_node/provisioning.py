"""Keeping the data plane provisioned: a run for every generation, and one more after it came back.

What has to be done is a value, `Need`: this generation, in this life of the data plane (its data is in
memory, so a new life knows no tables). A run is due while the last one finished was for another need.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path

from attrs import define, field, frozen

from esb_node.backoff import Backoff
from esb_node.launcher import Launcher, Process
from esb_node.service import exit_text
from esb_node.specs import JobSpec

_OUTCOMES = ("created", "updated", "existing", "rejected", "failed")
_WORLD_FAILED = 4


class RunState(Enum):
    """What became of the last run."""

    IDLE = "idle"
    RUNNING = "running"
    DONE = "done"
    REJECTED = "rejected"
    FAILED = "failed"


@frozen
class Need:
    """A generation, and which life of the data plane it is to be provisioned in."""

    generation: str
    life: int


@define
class Provisioning:
    """Runs the provisioner when there is a need; `generation` says what CONFIG_DIR holds now."""

    spec: JobSpec
    generation: Callable[[], str | None]
    launcher: Launcher
    clock: Callable[[], float]
    tell: Callable[[str], None]
    backoff: Backoff = field(factory=lambda: Backoff(first=1.0))
    state: RunState = RunState.IDLE
    provisioned: str | None = None
    trouble: str = ""
    counts: Mapping[str, int] = field(factory=dict)
    process: Process | None = None
    _running: Need | None = None
    _settled: Need | None = None
    _failures: int = 0
    _since: float = 0.0

    @property
    def pid(self) -> int | None:
        """The process of a run that is under way."""
        return self.process.pid if self.process else None

    def tick(self, life: int | None) -> None:
        """Start a run, or look after the one under way; `life` is None while the data plane isn't ready."""
        if self.process is not None:
            self._look_after(self.process)
        elif life is not None and (need := self._need(life)) and self._due(need):
            self._start(need)

    def settled(self, life: int) -> bool:
        """Whether nothing is to be waited for: the present need is met, or its run has failed once."""
        need = self._need(life)
        met = need is None or need == self._settled
        return self.process is None and (met or self.state is RunState.FAILED)

    def stop(self) -> bool:
        """End a run that is under way; True when there is none."""
        if self.process is None or self.process.exit() is not None:
            self.process = None
            return True
        self.process.kill()
        return False

    def _need(self, life: int) -> Need | None:
        generation = self.generation()
        return Need(generation, life) if generation else None

    def _due(self, need: Need) -> bool:
        if need == self._settled:
            return False
        waiting = need == self._running and self._failures > 0
        return not waiting or self.clock() - self._since >= self.backoff.pause(self._failures)

    def _start(self, need: Need) -> None:
        if need != self._running:
            self._failures = 0
        self._running, self._since = need, self.clock()
        try:
            self.process = self.launcher.run(self.spec)
            self.state = RunState.RUNNING
        except OSError as error:
            self._fail(f"can't be started: {error}")

    def _look_after(self, process: Process) -> None:
        code = process.exit()
        if code is None:
            if self.clock() - self._since >= self.spec.max_seconds:
                process.kill()
            return
        self.process, self._since = None, self.clock()
        self.counts = _counts(self.spec.output)
        if code in {0, 3}:
            self._settle(code)
        else:
            self._fail(f"ended with {exit_text(code)}")

    def _settle(self, code: int) -> None:
        """Done, or rejected, which another try would not change."""
        self._settled, self._failures = self._running, 0
        self.provisioned = self._running.generation if self._running else None
        self.state = RunState.DONE if code == 0 else RunState.REJECTED
        self.trouble = "" if code == 0 else f"the config was rejected, see {self.spec.log}"
        said = ", ".join(f"{count} {name}" for name, count in self.counts.items()) or "nothing to do"
        self.tell(
            f"provisioned generation {self.provisioned}: {said}" + (f"; {self.trouble}" if code else "")
        )

    def _fail(self, fact: str) -> None:
        self._failures += 1
        self.state, self.trouble = RunState.FAILED, f"{fact}, see {self.spec.log}"
        self.tell(f"provisioning {fact}; trying again in {self.backoff.pause(self._failures):g} s")


def generation_of(config_dir: Path) -> str | None:
    """What CONFIG_DIR holds: the name its `current` link leads to, else a mark of its plain resources.yml."""
    try:
        return Path((config_dir / "current").readlink()).name
    except OSError:
        pass
    try:
        stat = (config_dir / "resources.yml").stat()
    except OSError:
        return None
    return f"plain-{stat.st_mtime_ns}-{stat.st_size}"


def _counts(output: Path) -> dict[str, int]:
    """The counts above zero of the provisioner's JSON summary; none when it wrote none."""
    try:
        summary = json.loads(output.read_text("utf-8"))["summary"]
        return {name: int(summary[name]) for name in _OUTCOMES if summary.get(name)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
