"""Blobs in containerd: written under their digests, which containerd compares, and read."""

from collections.abc import AsyncIterator, Mapping

from esb_agent.drivers.containerd import api
from esb_agent.drivers.containerd.manifests import Descriptor, checked
from esb_agent.drivers.containerd.rpc import ContainerdError, Rpc
from esb_agent.errors import AgentError, DriverError, ImageBrokenError

STAT, WRITE, COMMIT = 0, 1, 2
PIECE = 1024 * 1024
_REQUEST = "containerd.services.content.v1.WriteContentRequest"


class Content:
    """The blobs of one namespace."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    async def read(self, digest: str, what: str) -> bytes:
        """A small blob. Raises ContainerdError (`not_found`), ImageBrokenError: it is not what it was."""
        data = b"".join([one.data async for one in self._rpc.stream("content.Read", digest=digest)])
        return checked(data, digest, what)

    async def label(self, digest: str, labels: Mapping[str, str]) -> None:
        """Add labels to a blob: what it refers to is kept as long as it is."""
        paths = [f"labels.{name}" for name in labels]
        await self._rpc.call(
            "content.Update", info={"digest": digest, "labels": labels}, update_mask={"paths": paths}
        )

    async def write(self, blob: Descriptor, source: AsyncIterator[bytes], *, lease: str, what: str) -> None:
        """Store a blob unless it is there; the lease holds it in either case. All of it, or nothing.

        Raises ImageBrokenError: what came is not what its digest says.
        """
        ref = f"esb-{blob.digest}"
        names = {"ref": ref, "total": blob.size, "expected": blob.digest}
        try:
            begun = await self._rpc.exchange("content.Write", _one(action=STAT, **names), lease=lease)
            if begun.offset and begun.offset < blob.size:
                # The rest of an earlier life's download.
                await self._rpc.call("content.Abort", lease=lease, ref=ref)
            if begun.offset < blob.size:
                await self._fill(names, source, lease)
            else:
                # Another namespace has all of it; or there is nothing in it.
                commit = _one(action=COMMIT, offset=begun.offset, **names)
                await self._rpc.exchange("content.Write", commit, lease=lease)
        except ContainerdError as error:
            if error.exists:
                return
            await self._abort(ref, lease)
            if error.precondition:
                raise ImageBrokenError(f"{what}: {blob.digest}: not what its digest says: {error}") from error
            raise
        except AgentError:
            await self._abort(ref, lease)
            raise

    async def _fill(self, names: Mapping[str, object], source: AsyncIterator[bytes], lease: str) -> None:
        failed: list[AgentError] = []

        async def requests() -> AsyncIterator[object]:
            make, offset = api.message(_REQUEST), 0
            try:
                async for data in source:
                    yield make(action=WRITE, offset=offset, data=data, **names)
                    offset += len(data)
            except AgentError as error:
                # The stream ends without a commit.
                failed.append(error)
                return
            yield make(action=COMMIT, offset=offset, **names)

        last = await self._rpc.exchange("content.Write", requests(), lease=lease)
        if failed:
            raise failed[0]
        if last is None or last.action != COMMIT:
            raise DriverError(f"containerd: {names['expected']}: the write was not finished")

    async def _abort(self, ref: str, lease: str) -> None:
        try:
            await self._rpc.call("content.Abort", lease=lease, ref=ref)
        except ContainerdError as error:
            if not error.not_found:
                raise


async def _one(**fields: object) -> AsyncIterator[object]:
    yield api.message(_REQUEST)(**fields)
