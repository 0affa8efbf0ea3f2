"""At a start: which containers are workers to be taken back, and the end of all else in the box's namespace.

The containerd namespace, the prefix of network namespaces and the state directory are this box's alone, so
what is no living worker was left by an agent that was killed, or by the machine's end.
"""

import asyncio

import structlog
from attrs import frozen

from esb_agent.drivers.containerd.client import Container, Containerd, Task, TaskStatus
from esb_agent.drivers.containerd.launch import ADDRESS, NETNS
from esb_agent.drivers.containerd.removal import absent, erase, remove_directory
from esb_agent.drivers.emulator_function import CPUS, TIMEOUT, from_labels
from esb_agent.drivers.state_dir import StateDirectory
from esb_agent.model import Worker, WorkerState

log = structlog.get_logger()
ACTIVE = 2  # As containerd numbers kinds of snapshots: one that can be written.
ALIVE = {TaskStatus.RUNNING: WorkerState.READY, TaskStatus.PAUSED: WorkerState.PAUSED}
AT_ONCE = 8


@frozen(kw_only=True)
class Survivor:
    """A worker that runs, as its container and its task tell."""

    seen: Worker
    container: Container
    pid: int
    cpus: int
    timeout_ms: int
    netns: str
    address: str


def survivor(container: Container, task: Task | None) -> Survivor | None:
    """The worker a container is; None: it does not run, or does not say all that is needed."""
    marks = container.labels
    if not task or task.status not in ALIVE:
        return None
    try:
        return Survivor(
            seen=from_labels(marks, ALIVE[task.status], marks[ADDRESS]),
            container=container,
            pid=task.pid,
            cpus=int(marks[CPUS]),
            timeout_ms=int(marks[TIMEOUT]),
            netns=marks[NETNS],
            address=marks[ADDRESS],
        )
    except (KeyError, ValueError):
        return None


async def find_survivors(client: Containerd) -> tuple[list[Survivor], list[Container]]:
    """The workers that run, oldest first, and the containers that are none."""
    containers = await client.list_containers()
    tasks = {task.id: task for task in await client.list_tasks()}
    workers, others = [], []
    for container in containers:
        if found := survivor(container, tasks.get(container.id)):
            workers.append(found)
        else:
            others.append(container)
    return sorted(workers, key=lambda one: one.seen.created_unix_ms), others


async def remove_leftovers(
    client: Containerd, state: StateDirectory, snapshotter: str, kept: list[Survivor], others: list[Container]
) -> int:
    """End and remove what no survivor needs. Returns how much there was. Raises DriverError."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def remove(name: str, of: str) -> None:
        async with slots:
            await erase(client, name, of)
            log.warning("leftover of an earlier agent removed", container=name)

    await asyncio.gather(*(remove(one.id, one.snapshotter or snapshotter) for one in others))
    names = {one.container.id for one in kept}
    orphans = [
        info.name
        for info in await client.list_snapshots(snapshotter)
        if info.kind == ACTIVE and info.name not in names
    ]
    for name in orphans:
        await absent(client.remove_snapshot(snapshotter, name))
    directories = [one for one in state.workers.iterdir() if one.name not in names]
    for directory in directories:
        remove_directory(directory)
    return len(others) + len(orphans) + len(directories)
