"""One writer at a time: a lock on CONFIG_DIR that the kernel drops with its holder (contract §11).

`.lock` carries the flock and nothing else. Who holds it stands in `.lock.holder`, for the message of those
who wait; that file is a courtesy: the lock works without it (on a full disk it can't be written), and a
killed holder leaves it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from attrs import frozen

from artifactctl.disk import Disk
from artifactctl.errors import DiskError, LockTimeoutError

LOCK = ".lock"
HOLDER = ".lock.holder"
# Somebody who waits looks this often, in seconds; a transaction holds the lock for some hundredths of one.
_POLL = 0.02


@frozen
class LockHolder:
    """Who writes to a CONFIG_DIR: process, command, and since when (RFC 3339)."""

    pid: int
    command: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}), since {self.since}"


@frozen
class LockWait:
    """Somebody else, `holder` if known, has the lock; waiting ends after `timeout` seconds."""

    config_dir: Path
    holder: LockHolder | None
    timeout: float

    def __str__(self) -> str:
        who = self.holder or "another process"
        return f"waiting up to {self.timeout:g} s for {self.config_dir}, held by {who}"


OnWait = Callable[[LockWait], None]


@contextmanager
def exclusive(
    config_dir: Path, *, timeout: float, holder: LockHolder, on_wait: OnWait, disk: Disk
) -> Iterator[None]:
    """Hold the lock of an existing directory; waits at most `timeout` seconds, and says so through `on_wait`.

    Raises:
        LockTimeoutError: somebody else still held it then.
        DiskError: the lock file can't be created or opened.
    """
    # Imported here: 50 ms that only a command that writes needs.
    from filelock import FileLock, Timeout  # noqa: PLC0415

    # A fallback to a mere marker file would outlive a killed holder.
    lock = FileLock(config_dir / LOCK, fallback_to_soft=False)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait(LockWait(config_dir, read_holder(config_dir), timeout))
            lock.acquire(timeout=timeout, poll_interval=_POLL)
    except Timeout:
        who = read_holder(config_dir) or "another process"
        raise LockTimeoutError(
            f"{config_dir}: not free after {timeout:g} s: held by {who}; nothing was written"
        ) from None
    except OSError as error:
        raise DiskError(config_dir / LOCK, "open the lock file", error) from error
    try:
        _write_holder(config_dir, holder, disk)
        yield
    finally:
        with suppress(DiskError):
            disk.remove_file(config_dir / HOLDER)
        lock.release()


def current_holder(command: str, now: datetime) -> LockHolder:
    """This process as a holder."""
    return LockHolder(os.getpid(), command, now.isoformat(timespec="seconds"))


def read_holder(config_dir: Path) -> LockHolder | None:
    """Who said last that they hold the lock; None when nobody did, or not legibly."""
    try:
        fields = json.loads((config_dir / HOLDER).read_bytes())
        return LockHolder(int(fields["pid"]), str(fields["command"]), str(fields["since"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write_holder(config_dir: Path, holder: LockHolder, disk: Disk) -> None:
    path = config_dir / HOLDER
    text = json.dumps({"pid": holder.pid, "command": holder.command, "since": holder.since}) + "\n"
    with suppress(DiskError):
        disk.remove_file(path)
    with suppress(DiskError):
        disk.write_file(path, text.encode())
