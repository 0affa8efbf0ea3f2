"""Processes as /proc has them: their family, their memory, their time."""

import os
import signal
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Every worker's environment names its directory, and what it starts inherits that: so strays are known by it.
MARKER = "ESB_WORKER_DIR"


class Stat(NamedTuple):
    """The part of /proc/PID/stat used here; `cpu_ticks` is user and system time, with reaped children's."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    cpu_ticks: int
    start_ticks: int
    resident_pages: int

    @property
    def alive(self) -> bool:
        """It still runs or could; a zombie only waits to be reaped."""
        return self.state not in "ZX"


def read_stat(pid: int) -> Stat | None:
    """None: there is no such process (any more)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses, and may hold spaces and parentheses itself.
    fields = text[text.rindex(b")") + 2 :].split()
    cpu = sum(int(ticks) for ticks in fields[11:15])
    return Stat(
        pid,
        fields[0].decode(),
        int(fields[1]),
        int(fields[2]),
        int(fields[3]),
        cpu,
        int(fields[19]),
        int(fields[21]),
    )


@cache
def kernel_lists_children() -> bool:
    """Nearly all kernels do; where not, a search over all processes stands in."""
    return Path(f"/proc/self/task/{os.getpid()}/children").exists()


def children(pid: int) -> list[int]:
    """Its direct children, zombies included; none when it is gone."""
    if not kernel_lists_children():
        return [stat.pid for stat in processes() if stat.parent == pid]
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (thread / "children").read_bytes().split())
    return found


def processes() -> Iterator[Stat]:
    """Every process of this host that can be seen."""
    for path in PROC.iterdir():
        if path.name.isdigit() and (stat := read_stat(int(path.name))):
            yield stat


def family(pid: int) -> list[int]:
    """The process and all its descendants, itself first."""
    found, seen = [pid], {pid}
    for member in found:
        for child in children(member):
            if child not in seen:
                seen.add(child)
                found.append(child)
    return found


def marked(pid: int, directory: str) -> bool:
    """Its environment was a worker's (or, with a trailing `/`, that of any worker below the directory)."""
    try:
        environment = b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    end = "" if directory.endswith("/") else "\0"
    return f"\0{MARKER}={directory}{end}".encode() in environment


def nameless(pid: int) -> bool:
    """It lives, and its environment is empty or can't be read.

    For good, or because it is becoming another program, or is about to be gone.
    """
    environment = b""
    with suppress(OSError):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    stat = None if environment else read_stat(pid)
    return stat is not None and stat.alive


def members(leader: int, directory: str, strays: Iterable[int]) -> list[int]:
    """All processes of a worker.

    The leader's family, and those strays (orphans) that came from it, with theirs.
    """
    found = family(leader)
    for stray in strays:
        stat = read_stat(stray)
        if stat and (leader in (stat.group, stat.session) or marked(stray, directory)):
            found += [pid for pid in family(stray) if pid not in found]
    return found


def send(pids: Collection[int], number: int) -> None:
    """Send a signal to each that is still there; one that has become another user's is out of reach."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def kill_group(leader: int) -> None:
    """SIGKILL to the whole process group at once, so that it cannot fork away."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def resident_bytes(pids: Iterable[int]) -> int:
    """Sum of resident memory; pages that processes share count for each of them."""
    pages = 0
    for pid in pids:
        with suppress(OSError):
            pages += int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    return pages * PAGE_BYTES
