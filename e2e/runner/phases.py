"""One profile from its first phase to its last: reset ▶ compose ▶ deploy ▶ test ▶ clean."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from runner.box import Box, Work, write_json
from runner.commands import PhaseError
from runner.outcome import Ending, Outcome, Tally, read_tally

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEST_SECONDS = 1200.0
_NO_TESTS = 5


@attrs.frozen
class Plan:
    """Which phases are to run; with `build_only` the box stays for `test_only`, which leaves it too."""

    build_only: bool = False
    test_only: bool = False
    target: str = ""

    @property
    def keeps(self) -> bool:
        """Whether the box is there after the run."""
        return self.build_only or self.test_only


class ProfileRun:
    """Runs the phases; `entered` is told of each as it begins."""

    def __init__(self, work: Work, box: Box, plan: Plan, state: Path, entered: Callable[[str], None]) -> None:
        self._work = work
        self._box = box
        self._plan = plan
        self._state = state
        self._entered = entered
        self._took: list[tuple[str, float]] = []
        self._tally: Tally | None = None
        self._phases: asyncio.Task[None] | None = None

    def interrupt(self) -> None:
        """End the phase that runs and go on to cleaning up, which nothing interrupts."""
        if self._phases:
            self._phases.cancel()

    async def run(self) -> Outcome:
        """Run the phases; the box is gone afterwards, unless the plan keeps it and nothing failed."""
        ending, reasons = Ending.PASSED, []
        try:
            self._phases = asyncio.create_task(self._forward())
            await self._phases
        except asyncio.CancelledError:
            ending, reasons = Ending.INTERRUPTED, ["interrupted"]
        except (PhaseError, OSError) as error:
            ending, reasons = Ending.FAILED, [str(error)]
        except BaseException:  # a bug of ours: it goes on up, but not past a box that runs
            await self._clean()
            raise
        if ending is Ending.FAILED:
            await self._trouble()
        if not (self._plan.keeps and (ending is Ending.PASSED or self._plan.test_only)):
            left = await self._clean()
            if left and ending is Ending.PASSED:
                ending = Ending.FAILED
            reasons += left
        for reason in reasons:
            self._work.commands.note(f"! {reason}")
        return Outcome(
            self._work.profile.name,
            ending,
            tuple(reasons),
            tuple(self._took),
            self._tally,
            self._work.commands.log,
        )

    async def _forward(self) -> None:
        if not self._plan.test_only:
            with self._phase("reset"):
                await self._box.reset()
            write_json(self._state, {"phase": "compose"})
            with self._phase("compose"):
                await self._box.compose()
            with self._phase("deploy"):
                await self._box.deploy()
            write_json(self._state, {"phase": "deployed", "facts": dict(await self._box.facts())})
        if not self._plan.build_only:
            with self._phase("test"):
                await self._test(self._deployed())

    def _deployed(self) -> Mapping[str, str]:
        """What the deploy phase wrote down, maybe in a run before this one."""
        try:
            state = json.loads(self._state.read_text())
            return {str(name): str(value) for name, value in state["facts"].items()}
        except (OSError, ValueError, KeyError):
            raise PhaseError("no box is deployed; run it with --build-only first") from None

    async def _test(self, facts: Mapping[str, str]) -> None:
        profile = self._work.profile
        report = self._state.with_suffix(".xml")
        report.unlink(missing_ok=True)
        targets = [self._plan.target] if self._plan.target else [suite.path for suite in profile.suites]
        told = {
            "PROFILE": profile.name,
            "CAPABILITIES": ",".join(sorted(profile.capabilities)),
            **facts,
        }
        code = await self._work.commands.run(
            *(sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--color=no", "--tb=short"),
            *(f"--junitxml={report}", "--durations=8", *targets),
            seconds=_TEST_SECONDS,
            environ={f"ESB_E2E_{name}": value for name, value in told.items()},
            check=False,
        )
        self._tally = read_tally(report)
        if code:
            what = "there are no such tests" if code == _NO_TESTS else f"pytest ended with {code}"
            raise PhaseError(f"tests: {self._tally or what}")

    async def _trouble(self) -> None:
        """What the box says goes into a file beside the log, whose end is better the failure itself."""
        file = self._work.commands.log.with_suffix(".box.log")
        try:
            file.write_text(await self._box.trouble())
        except (PhaseError, OSError) as error:
            self._work.commands.note(f"! {error}")
        else:
            self._work.commands.note(f"what the box logged: {file}")

    async def _clean(self) -> list[str]:
        """Take the box down; what of it is left, or why that could not be done."""
        with self._phase("clean"):
            self._state.unlink(missing_ok=True)
            try:
                await self._box.down()
                return [f"left behind: {left}" for left in await self._box.leftovers()]
            except (PhaseError, OSError) as error:
                return [f"not cleaned up: {error}"]

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self._entered(name)
        self._work.commands.note(f"=== {self._work.profile.name}: {name}")
        began = time.monotonic()
        try:
            yield
        finally:
            self._took.append((name, time.monotonic() - began))
