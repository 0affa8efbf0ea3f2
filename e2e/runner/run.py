"""All profiles of a run: those that can't run are said so, the others go through their phases."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from runner import box as boxes
from runner.box import Box, Work
from runner.box_containerd import ContainerdBox
from runner.box_docker import DockerBox
from runner.box_process import ProcessBox
from runner.commands import Commands, PhaseError
from runner.display import Display
from runner.matrix import Profile
from runner.outcome import Ending, Outcome
from runner.phases import Plan, ProfileRun
from runner.preflight import host_lacks
from runner.probes import missing

DRIVERS: dict[str, Callable[[Work], Box]] = {
    "process": ProcessBox,
    "docker": DockerBox,
    "containerd": ContainerdBox,
}
_LOOK_SECONDS = 0.25
# What this host's shell says is the operator's; no profile, key, endpoint or setting of it reaches a box.
_HIDDEN = ("AWS_", "ESB_", "MOTO_", "COMPOSE_", "ARTIFACTCTL_")


@attrs.frozen
class Run:
    """What is to be run, where."""

    profiles: tuple[Profile, ...]
    plan: Plan
    root: Path
    place: Path
    parallel: bool = False

    def log(self, profile: Profile) -> Path:
        """The log of a profile, of its last run."""
        return self.place / "logs" / f"{profile.name}.log"

    def work(self, profile: Profile) -> Work:
        """What its driver works with."""
        mark = boxes.mark(profile.name, self.place)
        environ = {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)}
        environ |= {**profile.environment, "ESB_E2E_MARK": mark}
        commands = Commands(self.root, environ, self.log(profile))
        return Work(profile, self.root, commands, mark, Path(tempfile.gettempdir()).resolve())


async def run_all(run: Run, display: Display) -> list[Outcome]:
    """Run them beside each other or one after another; a signal ends them all, cleanly."""
    stopped = asyncio.Event()
    _on_signals(stopped)
    follower = asyncio.create_task(_follow(display))
    try:
        outcomes: dict[str, Outcome] = {}
        if run.parallel:
            await asyncio.gather(*(_one(run, p, display, stopped, outcomes) for p in run.profiles))
        else:
            for profile in run.profiles:
                await _one(run, profile, display, stopped, outcomes)
        return [outcomes[profile.name] for profile in run.profiles]
    finally:
        follower.cancel()
        with suppress(asyncio.CancelledError):
            await follower


async def take_down(run: Run) -> list[str]:
    """Remove what runs with --build-only left; what could not be removed."""
    problems = []
    for profile in run.profiles:
        box = DRIVERS[profile.driver](run.work(profile))
        try:
            with _alone(run, profile):
                await box.down()
                _state(run, profile).unlink(missing_ok=True)
                problems += [f"{profile.name}: left behind: {left}" for left in await box.leftovers()]
        except (PhaseError, OSError) as error:
            problems.append(f"{profile.name}: {error}")
    return problems


async def _one(
    run: Run, profile: Profile, display: Display, stopped: asyncio.Event, outcomes: dict[str, Outcome]
) -> None:
    """One profile; `outcomes` gets what came of it."""
    display.add(profile.name, run.log(profile))
    outcome = await _outcome(run, profile, display, stopped)
    outcomes[profile.name] = outcome
    display.ended(outcome)


async def _outcome(run: Run, profile: Profile, display: Display, stopped: asyncio.Event) -> Outcome:
    if stopped.is_set():
        return Outcome(profile.name, Ending.INTERRUPTED, ("not begun",))
    if profile.deferred:
        lacks = await asyncio.to_thread(host_lacks, profile.preflight) if profile.preflight else []
        return Outcome(profile.name, Ending.DEFERRED, (*profile.deferred, *lacks))
    if reasons := await asyncio.to_thread(missing, profile.requires):
        return Outcome(profile.name, Ending.UNAVAILABLE, tuple(reasons))
    if stopped.is_set():
        return Outcome(profile.name, Ending.INTERRUPTED, ("not begun",))
    try:
        with _alone(run, profile):
            if not run.plan.test_only:
                run.log(profile).unlink(missing_ok=True)
                display.add(profile.name, run.log(profile))
            work = run.work(profile)
            phases = ProfileRun(
                *(work, DRIVERS[profile.driver](work), run.plan, _state(run, profile)),
                lambda phase: display.entered(profile.name, phase),
            )
            task = asyncio.create_task(phases.run())
            stopping = asyncio.create_task(stopped.wait())
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                phases.interrupt()
            stopping.cancel()
            return await task
    except PhaseError as error:
        return Outcome(profile.name, Ending.FAILED, (str(error),))


@contextmanager
def _alone(run: Run, profile: Profile) -> Iterator[None]:
    """Two runs of one profile in one checkout would take down each other's box."""
    file = run.place / f"{profile.name}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PhaseError(f"another run of this profile is under way in {run.place}") from None
        yield


def _state(run: Run, profile: Profile) -> Path:
    return run.place / "state" / f"{profile.name}.json"


async def _follow(display: Display) -> None:
    while True:
        display.follow()
        await asyncio.sleep(_LOOK_SECONDS)


def _on_signals(stopped: asyncio.Event) -> None:
    """The first Ctrl-C, SIGTERM or SIGHUP ends the run; cleaning up isn't disturbed by a second one."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)


def overviews(profiles: tuple[Profile, ...]) -> Mapping[str, str]:
    """What stands in for what, by profile."""
    return {profile.name: f"data plane: {profile.data_plane}" for profile in profiles if profile.data_plane}
