"""containerd in the driver's words: containers, their snapshots and tasks, and what happens to them.

The content of images is `content.py`'s. All methods raise ContainerdError and ContainerdUnreachedError.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from attrs import field, frozen

from esb_agent.drivers.containerd import api
from esb_agent.drivers.containerd.rpc import ANSWER_SECONDS, ContainerdError, Rpc

SPEC_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/Spec"
RESOURCES_TYPE = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
RUNC_OPTIONS = "containerd.runc.v1.Options"
CONNECT_SECONDS = 5.0
# A start waits for the ones before it.
START_SECONDS = 60.0
TOPICS = ("/tasks/exit", "/tasks/oom")


class TaskStatus(Enum):
    """As containerd numbers them."""

    UNKNOWN = 0
    CREATED = 1
    RUNNING = 2
    STOPPED = 3
    PAUSED = 4
    PAUSING = 5


@frozen(kw_only=True)
class Runtime:
    """Which shim runs a container; `binary`: in place of runc, for the runc shim."""

    name: str
    binary: str = ""
    root: str = ""
    systemd_cgroup: bool = False


@frozen(kw_only=True)
class Container:
    """The record of a container."""

    id: str
    labels: Mapping[str, str]
    image: str
    snapshotter: str
    snapshot: str


@frozen(kw_only=True)
class Task:
    """The processes of a container; `id` is the container's."""

    id: str
    pid: int
    status: TaskStatus
    exit_status: int = 0


@frozen(kw_only=True)
class Event:
    """What happened to a container's first process: `kind` is "exit" or "oom"."""

    kind: str
    container: str
    exit_status: int = 0


@frozen
class Containerd:
    """One containerd, and one namespace in it."""

    address: str
    namespace: str
    rpc: Rpc = field(init=False)

    @rpc.default
    def _connection(self) -> Rpc:
        return Rpc(self.address, self.namespace)

    async def connect(self) -> str:
        """Make sure that it is there and has the namespace. Returns its version."""
        found = await self.rpc.call("version.Version", seconds=CONNECT_SECONDS)
        try:
            await self.rpc.call("namespaces.Create", namespace={"name": self.namespace})
        except ContainerdError as error:
            if not error.exists:
                raise
        return str(found.version)

    async def close(self) -> None:
        """Let the connection go."""
        await self.rpc.close()

    async def create_container(
        self,
        container: Container,
        spec: Mapping[str, object],
        runtime: Runtime,
        *,
        lease: str = "",
    ) -> None:
        """Record a container; its snapshot need not be there yet."""
        options = api.message(RUNC_OPTIONS)(
            binary_name=runtime.binary, root=runtime.root, systemd_cgroup=runtime.systemd_cgroup
        )
        await self.rpc.call(
            "containers.Create",
            lease=lease,
            container={
                "id": container.id,
                "labels": container.labels,
                "image": container.image,
                "runtime": {
                    "name": runtime.name,
                    "options": api.envelope(RUNC_OPTIONS, options.SerializeToString()),
                },
                "spec": api.envelope(SPEC_TYPE, json.dumps(spec).encode()),
                "snapshotter": container.snapshotter,
                "snapshot_key": container.snapshot,
            },
        )

    async def list_containers(self) -> list[Container]:
        """Every container of the namespace."""
        return [_container(one) for one in (await self.rpc.call("containers.List")).containers]

    async def delete_container(self, container_id: str) -> None:
        """Forget the record; its task has to be gone."""
        await self.rpc.call("containers.Delete", id=container_id)

    async def prepare_snapshot(
        self,
        snapshotter: str,
        key: str,
        parent: str,
        *,
        lease: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Sequence[Any]:
        """A writable snapshot above `parent`. Returns the mounts that make it a directory tree."""
        answer = await self.rpc.call(
            "snapshots.Prepare",
            lease=lease,
            snapshotter=snapshotter,
            key=key,
            parent=parent,
            labels=labels or {},
        )
        return tuple(answer.mounts)

    async def remove_snapshot(self, snapshotter: str, key: str) -> None:
        """Remove a snapshot that nothing is above."""
        await self.rpc.call("snapshots.Remove", snapshotter=snapshotter, key=key)

    async def list_snapshots(self, snapshotter: str) -> list[Any]:
        """What snapshots there are, as containerd's `Info`."""
        pieces = self.rpc.stream("snapshots.List", snapshotter=snapshotter)
        return [info async for piece in pieces for info in piece.info]

    async def create_task(
        self, container_id: str, mounts: Sequence[Any], *, stdout: str = "", stderr: str = ""
    ) -> int:
        """Make the container's first process, not yet running. Returns its pid; output goes to FIFOs."""
        answer = await self.rpc.call(
            "tasks.Create",
            seconds=START_SECONDS,
            container_id=container_id,
            rootfs=mounts,
            stdout=stdout,
            stderr=stderr,
        )
        return int(answer.pid)

    async def start_task(self, container_id: str) -> None:
        """Let it run."""
        await self.rpc.call("tasks.Start", seconds=START_SECONDS, container_id=container_id)

    async def get_task(self, container_id: str, seconds: float = ANSWER_SECONDS) -> Task:
        """The container's task. Raises ContainerdError with `not_found`: it has none."""
        found = await self.rpc.call("tasks.Get", seconds=seconds, container_id=container_id)
        return _task(found.process)

    async def list_tasks(self) -> list[Task]:
        """Every task of the namespace."""
        return [_task(one) for one in (await self.rpc.call("tasks.List")).tasks]

    async def kill_task(self, container_id: str, number: int, seconds: float) -> None:
        """Send a signal to all processes of the container."""
        await self.rpc.call("tasks.Kill", seconds=seconds, container_id=container_id, signal=number, all=True)

    async def wait_task(self, container_id: str, seconds: float) -> int:
        """Wait until its first process has ended. Returns its exit status."""
        answer = await self.rpc.call("tasks.Wait", seconds=seconds, container_id=container_id)
        return int(answer.exit_status)

    async def delete_task(self, container_id: str, seconds: float) -> int:
        """Clear away a task that has ended, with its shim. Returns its exit status."""
        answer = await self.rpc.call("tasks.Delete", seconds=seconds, container_id=container_id)
        return int(answer.exit_status)

    async def pause_task(self, container_id: str) -> None:
        """Freeze all its processes."""
        await self.rpc.call("tasks.Pause", container_id=container_id)

    async def resume_task(self, container_id: str) -> None:
        """Let them go on."""
        await self.rpc.call("tasks.Resume", container_id=container_id)

    async def limit_task(self, container_id: str, resources: Mapping[str, object]) -> None:
        """Change its limits, as the runtime spec has them under `linux.resources`."""
        value = json.dumps(resources).encode()
        await self.rpc.call(
            "tasks.Update", container_id=container_id, resources=api.envelope(RESOURCES_TYPE, value)
        )

    async def events(self) -> AsyncIterator[Event]:
        """What happens to tasks from now on, until the connection breaks."""
        filters = [f'namespace=="{self.namespace}",topic=="{topic}"' for topic in TOPICS]
        async for one in self.rpc.stream("events.Subscribe", seconds=None, filters=filters):
            happened = api.unfold(one.event)
            # What ended may be a process that was only looked in with.
            if one.topic == "/tasks/exit" and happened.id == happened.container_id:
                yield Event(kind="exit", container=happened.container_id, exit_status=happened.exit_status)
            elif one.topic == "/tasks/oom":
                yield Event(kind="oom", container=happened.container_id)

    async def create_lease(self, lease_id: str, seconds: int) -> None:
        """Keep what is made under it from being collected, at most so long."""
        await self.rpc.call("leases.Create", id=lease_id, labels={"containerd.io/gc.expire": expiry(seconds)})

    async def delete_lease(self, lease_id: str) -> None:
        """Let go what nothing else refers to; fine when it is gone."""
        try:
            await self.rpc.call("leases.Delete", id=lease_id)
        except ContainerdError as error:
            if not error.not_found:
                raise


def expiry(seconds: int) -> str:
    """A moment so long from now, as containerd's labels have it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def _container(found: Any) -> Container:
    return Container(
        id=found.id,
        labels=dict(found.labels),
        image=found.image,
        snapshotter=found.snapshotter,
        snapshot=found.snapshot_key,
    )


def _task(found: Any) -> Task:
    # A task of a container names its process by the container's id, or by its own.
    return Task(
        id=found.container_id or found.id,
        pid=found.pid,
        status=TaskStatus(found.status),
        exit_status=found.exit_status,
    )
