"""Running a planned box: guard and supervisor as processes.

up ─lock▶ plan ─▶ guard ─▶ supervisor: start ─▶ announce ─▶ keep ─▶ stop
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from attrs import evolve

from esb_node import box_state, lock
from esb_node.box_state import BoxState, ProvisionerState, ServiceState, read_state, write_state
from esb_node.errors import NodeError
from esb_node.ground import Ground
from esb_node.guard import run_guarded
from esb_node.launcher import RealLauncher
from esb_node.logs import open_log
from esb_node.parts import SUPERVISOR, Plan, log_file
from esb_node.processes import end_orphans, reap_orphans
from esb_node.provisioning import Provisioning, generation_of
from esb_node.service import Service, exit_text
from esb_node.sockets import remove_sockets
from esb_node.supervisor import Supervisor
from esb_node.wakeup import Wakeup

DONE, BUG, WORLD_FAILED = 0, 1, 4
Tell = Callable[[str], None]
Announce = Callable[[str], None]


def run_box(plan: Plan, seconds: float, descriptor: int, tell: Tell, announce: Announce) -> int:
    """Run the box until it is told to stop; returns the exit code when nothing is left of it.

    `seconds` bounds the start; `tell` takes events as they happen; `announce` takes the outcome of the start:
    nothing when everything is ready, else what went wrong. `descriptor` is the lock's.

    Raises:
        OSError: the state file can't be written; nothing was started.
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    lock.sign(descriptor, started_at)
    signed = evolve(plan, state=evolve(plan.state, started_at=started_at))
    write_state(signed.state)  # a box whose address can't be told is not started
    body = partial(_supervise, signed, seconds, descriptor, tell, announce)
    code = run_guarded(body, plan.ground.spared)
    state = Path(plan.state.state_dir)
    _mark_stopped(state)
    remove_sockets(state)
    if code < 0:
        error = f"the supervisor ended with {exit_text(code)}; what it ran is stopped"
        _log(state, error)
        announce(error)
        return WORLD_FAILED
    return code


def _supervise(plan: Plan, seconds: float, descriptor: int, tell: Tell, announce: Announce) -> int:
    """The supervisor's whole life; runs in a process of its own, in its main thread."""
    state = Path(plan.state.state_dir)
    wakeup = Wakeup()
    wakeup.install()

    def note(event: str) -> None:
        _log(state, event)
        tell(event)

    def stopping() -> bool:
        if not lock.stands(descriptor, state):  # nobody could find this box any more, to stop it
            raise NodeError(f"{state} was removed while the box ran; the box is stopped")
        return wakeup.stopping

    supervisor = _supervisor(plan, wakeup, stopping, note)
    error = ""
    try:
        if supervisor.start(seconds):
            note("the box is ready")
            announce("")
            supervisor.keep()
    except NodeError as failure:
        error = str(failure)
    finally:
        supervisor.stop()
    if error:
        _log(state, error)
        announce(error)
        return WORLD_FAILED
    note("the box is stopped")
    return DONE


def _log(state: Path, event: str) -> None:
    """Write down an event; a full disk is no reason to stop a box, and a removed directory stays removed."""
    with suppress(OSError):
        if state.is_dir():
            with open_log(log_file(state, SUPERVISOR)) as log:
                log.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {event}\n".encode())


def _supervisor(plan: Plan, wakeup: Wakeup, stopping: Callable[[], bool], tell: Tell) -> Supervisor:
    launcher = RealLauncher()
    config_dir = Path(plan.state.config_dir)
    job = plan.job
    return Supervisor(
        services=tuple(Service(spec, launcher, time.monotonic, tell) for spec in plan.services),
        provisioning=Provisioning(job, lambda: generation_of(config_dir), launcher, time.monotonic, tell)
        if job
        else None,
        data_plane=plan.data_plane,
        clock=time.monotonic,
        pause=wakeup.pause,
        stopping=stopping,
        report=_Reporter(plan.state),
        clear=partial(_clear, plan.ground),
        ground=plan.ground,
        tell=tell,
    )


class _Reporter:
    """Writes the state file whenever there is something new to say."""

    def __init__(self, initial: BoxState) -> None:
        self._initial, self._last = initial, initial

    def __call__(self, state: str, services: tuple[ServiceState, ...], run: ProvisionerState) -> None:
        now = evolve(
            self._initial,
            state=state,
            supervisor_pid=None if state == box_state.STOPPED else os.getpid(),
            services=services,
            provisioner=run,
        )
        if now != self._last:
            with suppress(OSError):  # a full disk: the next turn tries again
                write_state(now)
                self._last = now


def _clear(ground: Ground, own: set[int], end_them: bool) -> None:
    if end_them:
        end_orphans(own, spared=ground.spared)
    else:
        reap_orphans(own)


def _mark_stopped(state: Path) -> None:
    """Correct the state file after a supervisor that could not do it itself."""
    found = read_state(state)
    if found and found.state != box_state.STOPPED:
        with suppress(OSError):  # a full disk: the file is a report, the lock tells the truth
            write_state(box_state.stopped(found))
