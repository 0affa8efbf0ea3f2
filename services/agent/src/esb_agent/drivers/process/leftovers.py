"""What an agent that was killed left behind: known from its records, ended before anything is started.

Normally there is none: the keeper sees the agent go and takes the workers along. This is for when both were
killed at once.
"""

import json
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from esb_agent.drivers.process.keeper import procfs

RECORD = "process.json"
PATIENCE_SECONDS = 5.0


@frozen
class Record:
    """A process: with its start time, its number cannot be mistaken for a later one's."""

    pid: int
    start_ticks: int


def write_record(directory: Path, record: Record) -> None:
    """Into the worker's directory.

    Not forced to the disk: after a power failure there is nothing left to end.
    """
    text = json.dumps({"pid": record.pid, "start_ticks": record.start_ticks})
    (directory / RECORD).write_text(text, encoding="utf-8")


def _read_record(path: Path) -> Record | None:
    try:
        document = json.loads(path.read_bytes())
        return Record(int(document["pid"]), int(document["start_ticks"]))
    except (OSError, ValueError, KeyError, TypeError):
        # Written halfway, or never: the markers in the processes' environments remain.
        return None


def _victims(workers: Path) -> Iterator[int]:
    """Processes of recorded workers, of their sessions, and those that carry a mark of this directory."""
    records = {r.pid: r for path in workers.glob(f"*/{RECORD}") if (r := _read_record(path))}
    for stat in procfs.processes():
        leader = records.get(stat.pid)
        session = records.get(stat.session)
        recorded = leader is not None and leader.start_ticks == stat.start_ticks
        # A session's number stays taken while it has members, so these are the recorded one's, or younger
        # ones' by its number.
        related = session is not None and stat.start_ticks >= session.start_ticks and not _reused(session)
        if stat.alive and (recorded or related or procfs.marked(stat.pid, f"{workers}/")):
            yield stat.pid


def _reused(leader: Record) -> bool:
    now = procfs.read_stat(leader.pid)
    return now is not None and now.start_ticks != leader.start_ticks


def end_leftovers(workers: Path) -> int:
    """Kill all of them and remove their directories. Returns how many processes were found.

    Blocks until they are gone.
    """
    found: set[int] = set()
    until = time.monotonic() + PATIENCE_SECONDS
    while (victims := list(_victims(workers))) and time.monotonic() < until:
        for victim in victims:
            for pid in procfs.family(victim):
                found.add(pid)
                with suppress(ProcessLookupError, PermissionError):
                    procfs.send([pid], signal.SIGKILL)
        time.sleep(0.005)
    for path in workers.iterdir():
        shutil.rmtree(path, ignore_errors=True)
    return len(found)
