"""The life of one service as a state machine that is told the time; it never waits.

IDLE ─start▶ STARTING ─answers▶ READY
                │ ends, or does not answer in time    │ ends, or hangs
                └──────────▶ BACKOFF ◀────────────────┘
                                └─pause over▶ STARTING
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from enum import Enum

from attrs import define, field

from esb_node.backoff import Backoff
from esb_node.launcher import Launcher, Process
from esb_node.liveness import Liveness
from esb_node.specs import ServiceSpec


class Phase(Enum):
    """Where a service is in its life."""

    IDLE = "idle"
    STARTING = "starting"
    READY = "ready"
    BACKOFF = "restarting"
    STOPPED = "stopped"


@define
class Service:
    """One supervised service; `clock` counts seconds, `tell` takes what an operator wants to know."""

    spec: ServiceSpec
    launcher: Launcher
    clock: Callable[[], float]
    tell: Callable[[str], None]
    backoff: Backoff = field(factory=Backoff)
    phase: Phase = Phase.IDLE
    process: Process | None = None
    starts: int = 0
    trouble: str = ""
    _verdict: str = ""
    _failures: int = 0
    _since: float = 0.0
    _stopping_since: float | None = None
    _liveness: Liveness | None = None

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(0, self.starts - 1)

    @property
    def pid(self) -> int | None:
        """Its process while there is one."""
        return self.process.pid if self.process else None

    def start(self) -> None:
        """Start the process now."""
        self.starts += 1
        self._enter(Phase.STARTING)
        try:
            self.process = self.launcher.start(self.spec)
        except OSError as error:
            self._fail(f"can't be started: {error}")

    def tick(self) -> None:
        """Look at the process and go on from there."""
        match self.phase:
            case Phase.STARTING:
                self._look_at_start()
            case Phase.READY if not self._look_for_end():
                self._look_for_life()
            case Phase.BACKOFF if self.clock() - self._since >= self.backoff.pause(self._failures):
                self.tell(f"starting {self.spec.name} again, try {self._failures}")
                self.start()

    def stop(self) -> bool:
        """Go on ending the process, first asking, then killing; True when it is gone."""
        if self.process is None or self.process.exit() is not None:
            self._gone()
            return True
        if self._stopping_since is None:
            self._stopping_since = self.clock()
            if self.spec.stop_seconds:
                self.process.terminate()
            else:
                self.process.kill()
        elif self.spec.stop_seconds and self.clock() - self._stopping_since >= self.spec.stop_seconds:
            self.tell(f"{self.spec.name} does not end after {self.spec.stop_seconds:g} s, killing it")
            self.process.kill()
        return False

    def _look_at_start(self) -> None:
        if self._look_for_end():
            return
        if self.launcher.is_ready(self.spec.ready):
            self.tell(
                f"{self.spec.name} ready after {self.clock() - self._since:.1f} s at {self.spec.address}"
            )
            self._enter(Phase.READY)
        elif self.process and not self._verdict and self.clock() - self._since >= self.spec.start_seconds:
            self._verdict = f"did not answer within {self.spec.start_seconds:g} s"
            self.process.kill()

    def _look_for_life(self) -> None:
        """Kill a service that runs and answers no more; its end is then found as any other."""
        if self._liveness is None or self._verdict or not self._liveness.hangs():
            return
        self._verdict = f"hung: {self._liveness.failures} health checks in a row got no answer"
        if self.process:
            self.process.kill()

    def _look_for_end(self) -> bool:
        code = self.process.exit() if self.process else None
        if code is None:
            return False
        self._fail(self._verdict or f"ended with {exit_text(code)}")
        return True

    def _fail(self, trouble: str) -> None:
        ready_seconds = self.clock() - self._since if self.phase is Phase.READY else 0.0
        self._failures = self.backoff.failures_after(self._failures, ready_seconds)
        if self.process:
            self.process.kill()  # what is left of its group
        self.process, self.trouble, self._verdict = None, trouble, ""
        self._enter(Phase.BACKOFF)
        self.tell(f"{self.spec.name} {trouble}")

    def _gone(self) -> None:
        if self.process:
            self.process.kill()  # what is left of its group
        self.process = None
        self._enter(Phase.STOPPED)

    def _enter(self, phase: Phase) -> None:
        self.phase, self._since = phase, self.clock()
        if self._liveness:
            self._liveness.close()
        self._liveness = self.launcher.liveness(self.spec.ready, self.clock) if phase is Phase.READY else None


def exit_text(code: int) -> str:
    """How a process ended, for people: "exit code 1" or "signal SIGKILL"."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
