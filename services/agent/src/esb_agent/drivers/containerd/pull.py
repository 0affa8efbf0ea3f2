"""One pull: registry ─▶ content ─▶ snapshots ─▶ the image's record. A lease holds all until that is there.

    index ─▶ manifest ─▶ configuration, layers ─▶ a snapshot for each layer ─▶ image

The record refers to the manifest, that to the blobs, the configuration to the last snapshot: containerd
collects what no record leads to.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from weakref import WeakValueDictionary

from attrs import field, frozen

from esb_agent.drivers.containerd.client import Containerd
from esb_agent.drivers.containerd.content import Content
from esb_agent.drivers.containerd.manifests import (
    INDEXES,
    MANIFESTS,
    Descriptor,
    ImageFacts,
    Layer,
    Manifest,
    for_this_host,
    layers_of,
    parse_facts,
    parse_manifest,
)
from esb_agent.drivers.containerd.references import Reference
from esb_agent.drivers.containerd.registry import Registry
from esb_agent.drivers.containerd.rpc import ContainerdError
from esb_agent.errors import ImageBrokenError

LEASE_PREFIX = "esb-pull-"
LEASE_SECONDS = 24 * 3600
UNPACK_SECONDS = 900.0
AT_ONCE = 3
GC_CONTENT = "containerd.io/gc.ref.content"
GC_SNAPSHOT = "containerd.io/gc.ref.snapshot"


@frozen
class Puller:
    """What pulls into one namespace. Images that share a layer bring and unpack it once."""

    client: Containerd
    content: Content
    snapshotter: str
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(init=False, factory=WeakValueDictionary)
    _slots: asyncio.Semaphore = field(init=False, factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def pull(self, registry: Registry, top: tuple[bytes, str, str]) -> ImageFacts:
        """Bring the image whose manifest or index is `top`: its bytes, media type and digest."""
        lease = LEASE_PREFIX + secrets.token_hex(8)
        await self.client.create_lease(lease, LEASE_SECONDS)
        try:
            return await self._pull(registry, top, lease)
        finally:
            # What has a record by now stays; after a failure all of it goes.
            await asyncio.shield(self.client.delete_lease(lease))

    async def _pull(self, registry: Registry, top: tuple[bytes, str, str], lease: str) -> ImageFacts:
        what, (data, kind, digest) = registry.reference.name, top
        target = Descriptor(kind, digest, len(data))
        chosen = target
        if kind in INDEXES:
            await self.content.write(target, _whole(data), lease=lease, what=what)
            chosen = for_this_host(data, what)
            await self.content.label(target.digest, {f"{GC_CONTENT}.m.0": chosen.digest})
            data, kind, _ = await registry.manifest(chosen.digest)
        if kind not in MANIFESTS:
            raise ImageBrokenError(f"{what}: expected an image's manifest, found one of {kind!r}")
        manifest = parse_manifest(data, what)
        await self.content.write(
            Descriptor(kind, chosen.digest, len(data)), _whole(data), lease=lease, what=what
        )
        facts = await self._fill(registry, manifest, chosen.digest, lease)
        await self.record(registry.reference, target)
        return facts

    async def _fill(self, registry: Registry, manifest: Manifest, digest: str, lease: str) -> ImageFacts:
        what = registry.reference.name
        downloads = [
            asyncio.create_task(self._download(registry, blob, lease))
            for blob in (manifest.config, *manifest.layers)
        ]
        try:
            await downloads[0]
            config = await self.content.read(manifest.config.digest, what)
            facts = parse_facts(config, manifest, digest, what)
            for layer, download in zip(layers_of(config, manifest, what), downloads[1:], strict=True):
                await download
                await self._unpack(layer, lease, what)
        finally:
            for download in downloads:
                download.cancel()
            await asyncio.gather(*downloads, return_exceptions=True)
        await self._refer(manifest, digest, facts)
        return facts

    async def unpack(self, manifest: Manifest, config: bytes, digest: str, what: str) -> None:
        """Make the snapshots of an image whose blobs are all there.

        Raises ContainerdError (`not_found`): a blob is not.
        """
        lease = LEASE_PREFIX + secrets.token_hex(8)
        await self.client.create_lease(lease, LEASE_SECONDS)
        try:
            for layer in layers_of(config, manifest, what):
                await self._unpack(layer, lease, what)
            await self._refer(manifest, digest, parse_facts(config, manifest, digest, what))
        finally:
            await asyncio.shield(self.client.delete_lease(lease))

    async def _download(self, registry: Registry, blob: Descriptor, lease: str) -> None:
        async with self._lock(blob.digest), self._slots:
            source = registry.blob(blob.digest)
            await self.content.write(blob, source, lease=lease, what=registry.reference.name)

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock

    async def _unpack(self, layer: Layer, lease: str, what: str) -> None:
        async with self._lock(layer.name):
            if await self.unpacked(layer.name):
                return
            key = f"esb-unpack-{secrets.token_hex(8)}"
            mounts = await self.client.prepare_snapshot(self.snapshotter, key, layer.parent, lease=lease)
            try:
                await self._apply(layer, mounts, lease, what)
                await self.client.rpc.call(
                    "snapshots.Commit", lease=lease, snapshotter=self.snapshotter, name=layer.name, key=key
                )
            except BaseException:
                await asyncio.shield(self._drop(key))
                raise

    async def _apply(self, layer: Layer, mounts: object, lease: str, what: str) -> None:
        blob = layer.blob
        diff = {"media_type": blob.media_type, "digest": blob.digest, "size": blob.size}
        done = await self.client.rpc.call(
            "diff.Apply", lease=lease, seconds=UNPACK_SECONDS, diff=diff, mounts=mounts
        )
        if done.applied.digest != layer.diff_id:
            raise ImageBrokenError(
                f"{what}: {blob.digest}: expected it to unpack to {layer.diff_id}, "
                f"found {done.applied.digest}"
            )

    async def unpacked(self, chain_id: str) -> bool:
        """There is a snapshot of that name."""
        try:
            await self.client.rpc.call("snapshots.Stat", snapshotter=self.snapshotter, key=chain_id)
        except ContainerdError as error:
            if error.not_found:
                return False
            raise
        return True

    async def _drop(self, key: str) -> None:
        try:
            await self.client.remove_snapshot(self.snapshotter, key)
        except ContainerdError as error:
            if not error.not_found:
                raise

    async def _refer(self, manifest: Manifest, digest: str, facts: ImageFacts) -> None:
        layers = {f"{GC_CONTENT}.l.{number}": one.digest for number, one in enumerate(manifest.layers)}
        await self.content.label(digest, {f"{GC_CONTENT}.config": manifest.config.digest, **layers})
        if facts.chain_id:
            label = f"{GC_SNAPSHOT}.{self.snapshotter}"
            await self.content.label(manifest.config.digest, {label: facts.chain_id})

    async def record(self, reference: Reference, target: Descriptor) -> None:
        """Let the image's name stand for `target` from now on; what it stood for is collected."""
        described = {"media_type": target.media_type, "digest": target.digest, "size": target.size}
        image = {"name": reference.name, "target": described}
        try:
            await self.client.rpc.call("images.Create", image=image)
        except ContainerdError as error:
            if not error.exists:
                raise
            await self.client.rpc.call("images.Update", image=image, update_mask={"paths": ["target"]})


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    yield data
