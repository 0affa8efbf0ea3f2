"""The end of a worker: its processes, task, snapshot and record, each of them gone or never there.

killed ─▶ seen to be gone ─▶ task ─▶ record, snapshot
"""

import asyncio
import shutil
import signal
from collections.abc import Awaitable
from pathlib import Path

from esb_agent.drivers.containerd.client import Containerd, TaskStatus
from esb_agent.drivers.containerd.rpc import ContainerdError

END_SECONDS = 10.0
RUNNING = (TaskStatus.RUNNING, TaskStatus.PAUSED, TaskStatus.PAUSING, TaskStatus.CREATED)


async def erase(client: Containerd, container: str, snapshotter: str) -> None:
    """Remove all that containerd has of a worker. Raises DriverError: something is still there."""
    await end_task(client, container)
    await asyncio.gather(
        absent(client.delete_container(container)), absent(client.remove_snapshot(snapshotter, container))
    )


async def end_task(client: Containerd, container: str) -> None:
    """Kill all its processes, and clear the task away when they are gone."""
    try:
        task = await client.get_task(container)
    except ContainerdError as error:
        if error.not_found:
            return
        raise
    if task.status in RUNNING:
        trouble = await _tried(client.kill_task(container, signal.SIGKILL))
        if task.status in (TaskStatus.PAUSED, TaskStatus.PAUSING):
            # A frozen process dies when it is let go. runc may have done that, and refuses to do it again.
            await _tried(client.resume_task(container))
        try:
            await absent(client.wait_task(container, END_SECONDS))
        except ContainerdError as error:
            raise trouble or error from error
    await absent(client.delete_task(container))


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
