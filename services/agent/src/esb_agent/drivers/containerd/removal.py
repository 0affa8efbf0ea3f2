"""The end of a worker: its processes, task, snapshot and record, each of them gone or never there.

killed ─▶ seen to be gone ─▶ task ─▶ record, snapshot
"""

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path

import structlog

from esb_agent.drivers.containerd.client import Containerd, TaskStatus
from esb_agent.drivers.containerd.measures import PROC
from esb_agent.drivers.containerd.rpc import ContainerdError, ContainerdSilentError
from esb_agent.errors import DriverError

log = structlog.get_logger()

END_SECONDS = 10.0
# A shim that says nothing for so long has hung: thousands of processes that end at once can do that to it.
HUNG_SECONDS = 5.0
POLL_SECONDS = 0.05
RUNNING = (TaskStatus.RUNNING, TaskStatus.PAUSED, TaskStatus.PAUSING, TaskStatus.CREATED)


async def erase(client: Containerd, container: str, snapshotter: str) -> None:
    """Remove all that containerd has of a worker. Raises DriverError: something is still there."""
    await end_task(client, container)
    await asyncio.gather(
        absent(client.delete_container(container)), absent(client.remove_snapshot(snapshotter, container))
    )


async def end_task(client: Containerd, container: str) -> None:
    """Kill all its processes, and clear the task away when they are gone; with a shim that has hung, too."""
    try:
        await _end_orderly(client, container)
    except ContainerdSilentError:
        if not await asyncio.to_thread(kill_shim, client.namespace, container):
            raise
        log.warning("shim had hung, killed", container=container)
        await _cleared_away(client, container)


async def _end_orderly(client: Containerd, container: str) -> None:
    try:
        task = await client.get_task(container, HUNG_SECONDS)
    except ContainerdError as error:
        if error.not_found:
            return
        raise
    if task.status is TaskStatus.UNKNOWN:
        raise ContainerdSilentError(f"{container}: its shim does not answer containerd")
    if task.status in RUNNING:
        trouble = await _tried(client.kill_task(container, signal.SIGKILL, HUNG_SECONDS))
        if task.status in (TaskStatus.PAUSED, TaskStatus.PAUSING):
            # A frozen process dies when it is let go. runc may have done that, and refuses to do it again.
            await _tried(client.resume_task(container))
        try:
            await absent(client.wait_task(container, END_SECONDS))
        except ContainerdError as error:
            raise trouble or error from error
    await absent(client.delete_task(container, END_SECONDS))


async def _cleared_away(client: Containerd, container: str) -> None:
    """Return when containerd has seen that the shim is gone: it ends and deletes what the shim had."""
    for _ in range(round(END_SECONDS / POLL_SECONDS)):
        try:
            await client.get_task(container, HUNG_SECONDS)
        except ContainerdError as error:
            if error.not_found:
                return
            raise
        await asyncio.sleep(POLL_SECONDS)
    raise DriverError(f"{container}: its shim was killed, but containerd has its task still")


def kill_shim(namespace: str, container: str, proc: Path = PROC) -> bool:
    """End what stands between containerd and a worker; False: no process that is seen from here is it."""
    wanted = os.fsencode(f"\0-namespace\0{namespace}\0-id\0{container}\0")
    for directory in proc.glob("[0-9]*"):
        with suppress(OSError):
            words = (directory / "cmdline").read_bytes()
            if b"containerd-shim" in words.partition(b"\0")[0] and wanted in words:
                os.kill(int(directory.name), signal.SIGKILL)
                return True
    return False


async def absent(step: Awaitable[object]) -> None:
    """Take what is not there for removed."""
    try:
        await step
    except ContainerdError as error:
        if not error.not_found:
            raise


async def _tried(step: Awaitable[object]) -> ContainerdError | None:
    """What a runtime says of processes that end meanwhile differs; whether they have is seen by waiting."""
    try:
        await step
    except ContainerdError as error:
        return error
    return None


def remove_directory(directory: Path) -> None:
    """Remove a worker's directory, if there is one."""
    shutil.rmtree(directory, ignore_errors=True)
