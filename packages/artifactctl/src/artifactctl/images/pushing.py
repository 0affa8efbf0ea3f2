"""Bringing blobs into repositories with as few requests as possible; any thread may.

A blob that some repository of the registry is known to have is mounted from there; of the others the first
thread that needs one uploads it, and the rest wait and mount it from where it went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256

from attrs import frozen

from artifactctl.images.layers import MEDIA_TYPE, Layer, tar_chunks
from artifactctl.images.once import Once
from artifactctl.registry.blobs import Blob, blob_of
from artifactctl.registry.client import RegistryClient
from artifactctl.registry.descriptors import Descriptor
from artifactctl.registry.references import Repository

# a layer up to this size is made in memory, once
_IN_MEMORY = 4 << 20

OnUpload = Callable[[], None]


@frozen
class _MadeLayer:
    descriptor: Descriptor
    blob: Blob


class Pusher:
    """What is known about where blobs are, for one run."""

    def __init__(self, client: RegistryClient) -> None:
        self._client = client
        self._layers: Once[str, Descriptor] = Once()
        self._there: Once[tuple[Repository, str], None] = Once()
        # registry and digest -> the first repository that has it
        self._first: Once[tuple[str, str], str] = Once()

    def note(self, repository: Repository, blobs: Iterable[Descriptor]) -> None:
        """Know that a repository has these."""
        for blob in blobs:
            self._there.set((repository, blob.digest), None)
            self._first.set((repository.registry, blob.digest), repository.name)

    def note_layer(self, key: str, descriptor: Descriptor) -> None:
        """Know what a layer with this key was made into before."""
        self._layers.set(key, descriptor)

    def layer(self, repository: Repository, layer: Layer, on_upload: OnUpload) -> Descriptor:
        """Bring a layer of ours.

        Raises:
            RegistryError: it can't be pushed.
            OSError: its files can't be read, or have changed.
        """
        made: list[Blob] = []

        def describe() -> Descriptor:
            found = _make(layer)
            made.append(found.blob)
            return found.descriptor

        descriptor = self._layers.get(layer.key, describe)
        blob = made[0] if made else _streamed(layer, descriptor)
        self.blob(repository, blob, on_upload)
        return descriptor

    def copy(self, repository: Repository, blob: Descriptor, origin: Repository, on_upload: OnUpload) -> None:
        """Bring a blob that another repository has, of the same registry or another.

        Raises:
            RegistryError: it can't be read there, or not pushed here.
        """
        if origin.registry == repository.registry:
            self.note(origin, [blob])
        found = Blob(
            blob.digest, blob.size, lambda offset: self._client.blobs.read(origin, blob.digest, offset)
        )
        self.blob(repository, found, on_upload)

    def blob(self, repository: Repository, blob: Blob, on_upload: OnUpload) -> None:
        """Bring any blob.

        Raises:
            RegistryError: it can't be pushed.
            OSError: it can't be read.
        """
        self._there.get((repository, blob.digest), lambda: self._bring(repository, blob, on_upload))

    def _bring(self, repository: Repository, blob: Blob, on_upload: OnUpload) -> None:
        is_first = False

        def upload_unless_there() -> str:
            nonlocal is_first
            is_first = True
            if not self._client.blobs.has(repository, blob.digest):
                on_upload()
                self._client.blobs.push(repository, blob)
            return repository.name

        source = self._first.get((repository.registry, blob.digest), upload_unless_there)
        if is_first or source == repository.name:
            return
        place = self._client.blobs.mount(repository, blob.digest, source)
        # a registry that can't mount, or doesn't let us, may have it all the same
        if place is not None and not self._client.blobs.has(repository, blob.digest):
            on_upload()
            self._client.blobs.push(repository, blob, place)


def _make(layer: Layer) -> _MadeLayer:
    if layer.content_size <= _IN_MEMORY:
        data = b"".join(tar_chunks(layer.entries))
        descriptor = Descriptor(MEDIA_TYPE, f"sha256:{sha256(data).hexdigest()}", len(data))
        return _MadeLayer(descriptor, blob_of(descriptor.digest, data))
    digest, size = sha256(), 0
    for chunk in tar_chunks(layer.entries):
        digest.update(chunk)
        size += len(chunk)
    descriptor = Descriptor(MEDIA_TYPE, f"sha256:{digest.hexdigest()}", size)
    return _MadeLayer(descriptor, _streamed(layer, descriptor))


def _streamed(layer: Layer, descriptor: Descriptor) -> Blob:
    def chunks(offset: int) -> Iterator[bytes]:
        return tar_chunks(layer.entries, offset)

    return Blob(descriptor.digest, descriptor.size, chunks)
