"""Running a box in the background, in a session of its own; a pipe tells once how the start went."""

from __future__ import annotations

import os
import signal
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType

from esb_node.box_state import BoxState, read_state
from esb_node.errors import NodeError, StartError, error_text
from esb_node.logs import open_log
from esb_node.parts import SUPERVISOR, Plan, log_file
from esb_node.up import BUG, WORLD_FAILED, run_box


def detach_box(plan: Plan, seconds: float, descriptor: int) -> BoxState:
    """Run the box in the background; returns its state as soon as everything is ready.

    Raises:
        StartError: it did not come up; nothing is left of it.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_detached(plan, seconds, descriptor, writer)
    os.close(writer)
    before = signal.signal(signal.SIGTERM, _end_waiting)
    try:
        error = _outcome(reader)
    except BaseException:  # Ctrl-C or SIGTERM: whoever no longer waits does not want the box either
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    state = Path(plan.state.state_dir)
    if error is None:
        error = f"the box ended while it was starting, see {log_file(state, SUPERVISOR)}"
    if error:
        os.waitpid(child, 0)
        raise StartError(error)
    return read_state(state) or plan.state


def _end_waiting(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _outcome(reader: int) -> str | None:
    """What the box announced, in one line (its own line ends are NULs); None when it ended without a word."""
    with open(reader, encoding="utf-8") as pipe:
        line = pipe.readline()
    return line.rstrip("\n").replace("\0", "\n") if line else None


def _be_detached(plan: Plan, seconds: float, descriptor: int, writer: int) -> None:
    """Become a session of our own with the supervisor's log for a terminal; never returns."""
    code = BUG

    def announce(error: str) -> None:
        with suppress(BrokenPipeError):  # whoever started us has its answer already
            os.write(writer, (error.replace("\n", "\0") + "\n").encode())

    try:
        os.setsid()
        with (
            open_log(log_file(Path(plan.state.state_dir), SUPERVISOR)) as log,
            Path(os.devnull).open("rb") as nothing,
        ):
            for number, file in enumerate((nothing, log, log)):
                os.dup2(file.fileno(), number)
        code = run_box(plan, seconds, descriptor, _ignore, announce)
    except (NodeError, OSError) as error:
        announce(error_text(error))
        code = WORLD_FAILED
    except Exception:  # noqa: BLE001 - the outermost point of a process: the bug goes to the log
        traceback.print_exc()
    finally:
        os._exit(code)


def _ignore(_event: str) -> None:
    """Detached: events go to the log only."""
