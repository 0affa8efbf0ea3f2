"""The state directory: what lies where in it, and that one agent at a time uses it."""

import fcntl
import os
from pathlib import Path
from typing import IO

from esb_agent.errors import ConfigError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class StateDirectory:
    """`rootfs/` unpacked images, `logs/` functions' output, `workers/` a directory a worker, `agent.lock`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rootfs = root / "rootfs"
        self.logs = root / "logs"
        self.workers = root / "workers"
        self._lock: IO[str] | None = None

    def take(self) -> None:
        """Make it and hold it; the hold goes with the process, however that ends.

        Raises:
            ConfigError: another agent holds it.
            OSError: it cannot be made.
        """
        for directory in (self.root, self.rootfs, self.logs, self.workers):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (self.root / "agent.lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise ConfigError(
                f"{self.root}: another agent (pid {holder}) uses this state directory"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file

    def release(self) -> None:
        """Let it go."""
        if self._lock:
            self._lock.close()
            self._lock = None


def boot_id() -> str:
    """Another one after each start of the machine; "" where the kernel has none."""
    try:
        return BOOT_ID.read_text(encoding="ascii")
    except OSError:
        return ""
