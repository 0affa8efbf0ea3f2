"""The target `registry`: images under their references in the registry the artifact names (contract §13).

Blobs come first, a manifest once all it refers to is there, a tag last: an image is seen whole or not at all.
References have tags made from what is in the image, so that each may be seen as soon as it is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from artifactctl.errors import DiskError, WorldError
from artifactctl.images.layers import Layer
from artifactctl.images.oci import (
    StoredManifest,
    config_document,
    index_document,
    manifest_document,
    parse_manifest,
)
from artifactctl.images.pushing import OnUpload, Pusher
from artifactctl.images.recipe import Platform, Recipe, RemoteLayer, combined_inputs
from artifactctl.images.registry_copy import Copying, copy_image
from artifactctl.images.stored import image_in, image_of
from artifactctl.images.target import StoredImage
from artifactctl.registry.blobs import blob_of
from artifactctl.registry.client import RegistryClient, open_client
from artifactctl.registry.config import UPLOADS, RegistryConfig
from artifactctl.registry.descriptors import (
    CONFIG_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    describe,
)
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.manifests import StoredDocument
from artifactctl.registry.references import Reference, Repository

Notify = Callable[[str, str], None]


def _ignore(_ref: str, _step: str) -> None:
    """Nobody is there to be told."""


def open_registry(config: RegistryConfig, *, notify: Notify = _ignore) -> RegistryTarget:
    """A registry to push to; nothing is asked of it yet.

    `notify` hears, from any thread, a reference and "pushing" once its first upload begins.

    Raises:
        RequestError: the name of a registry isn't one.
    """
    return RegistryTarget(open_client(config), notify=notify)


class RegistryTarget:
    """A `Target`: the registry during one run."""

    def __init__(self, client: RegistryClient, *, notify: Notify = _ignore) -> None:
        self.client = client
        self._notify = notify
        self._pusher = Pusher(client)
        # most of an upload is waiting for the registry's disk: one image needs several at a time
        self._uploads = ThreadPoolExecutor(UPLOADS, thread_name_prefix="upload")

    def __enter__(self) -> RegistryTarget:
        """The target itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connections, once nothing uses them any more."""
        self._uploads.shutdown(wait=True, cancel_futures=True)
        self.client.close()

    def host_ref(self, ref: str) -> str:
        """A reference of the artifact, as this host reaches it.

        Raises:
            WorldError: it isn't one, or there is no registry for it.
        """
        return str(self._locate(ref))

    def source_ref(self, ref: str) -> str:
        """An image from elsewhere, as this host reaches it; Docker Hub's by default, as for any FROM.

        Raises:
            WorldError: it isn't a reference.
        """
        try:
            return str(self.client.locate(ref))
        except ValueError as error:
            raise WorldError(str(error)) from error

    def find(self, ref: str) -> StoredImage | None:
        """The image with this reference; a registry has no manifest without what it refers to."""
        where = self._locate(ref)
        document = self.client.manifests.get(where, also_push=True)
        return self._stored(where, document) if document else None

    def put(self, ref: str, recipe: Recipe) -> StoredImage:
        """Push an image; it is there when this returns."""
        where = self._locate(ref)
        with _readable(where):
            data, size = self._prepare(where, recipe, self._told(ref))
        made = self.client.manifests.put(where, MANIFEST_TYPE, data)
        return StoredImage(made.digest, made.size + size, recipe.inputs)

    def put_platforms(self, ref: str, recipes: Sequence[Recipe]) -> StoredImage:
        """Push an image for each platform, and what lists them under the reference when there are several.

        Raises:
            WorldError: something can't be read or pushed.
        """
        if len(recipes) == 1:
            return self.put(ref, recipes[0])
        where, told = self._locate(ref), self._told(ref)
        images: list[tuple[Descriptor, Platform]] = []
        total = 0
        for recipe in recipes:
            with _readable(where):
                data, size = self._prepare(where, recipe, told)
            digest = describe(MANIFEST_TYPE, data).digest
            made = self.client.manifests.put(where.with_digest(digest), MANIFEST_TYPE, data)
            images.append((made, recipe.platform))
            total += made.size + size
        inputs = combined_inputs(recipes)
        index = self.client.manifests.put(where, INDEX_TYPE, index_document(inputs, images))
        return StoredImage(index.digest, index.size + total, inputs)

    def copy(self, source: str, ref: str, platforms: Sequence[Platform] = ()) -> StoredImage:
        """Copy an image from wherever it is, its bytes as they are; of several platforms only these.

        Raises:
            WorldError: it isn't there, or can't be copied.
        """
        where = self._locate(ref)
        try:
            origin = self.client.locate(source)
        except ValueError as error:
            raise WorldError(f"{source}: {error}") from error
        copying = Copying(self.client, self._pusher, origin, where, tuple(platforms))
        return self._stored(where, copy_image(copying, self._told(ref)))

    def tag(self, ref: str, tag: str) -> None:
        """Give an image another tag in its repository, one that moves.

        Raises:
            WorldError: it isn't there, or can't be tagged.
        """
        where = self._locate(ref)
        document = self.client.manifests.get(where, also_push=True)
        if document is None:
            raise RegistryError(where.repository.registry, f"tag {where} as {tag}", "not found", status=404)
        other = Reference(where.repository, tag)
        self.client.manifests.put(other, document.descriptor.media_type, document.data)

    def commit(self) -> None:
        """Nothing: each image is there since it was put."""

    def _prepare(self, where: Reference, recipe: Recipe, told: OnUpload) -> tuple[bytes, int]:
        """Bring all blobs of an image; gives its manifest, and what they weigh."""
        repository = where.repository

        def bring(layer: Layer) -> Descriptor:
            return self._pusher.layer(repository, layer, told)

        def bring_remote(layer: RemoteLayer) -> None:
            self._pusher.copy(repository, layer.blob, layer.origin, told)

        # an error of one stops those that haven't begun
        below = self._uploads.map(bring_remote, recipe.base.remote)
        layers = list(zip(recipe.layers, self._uploads.map(bring, recipe.layers), strict=True))
        made = [blob for _, blob in layers]
        data = config_document(recipe, [blob.digest for blob in made])
        config = describe(CONFIG_TYPE, data)
        self._pusher.blob(repository, blob_of(config.digest, data), told)
        list(below)
        size = sum(blob.size for blob in (*(one.blob for one in recipe.base.remote), *made, config))
        return manifest_document(recipe, config, layers), size

    def _stored(self, where: Reference, document: StoredDocument) -> StoredImage:
        try:
            if document.is_index:
                return image_in(self.client, where, document)
            manifest = parse_manifest(document.data)
            self._learn(where.repository, manifest)
            return image_of(self.client, where, document.descriptor, manifest)
        except (ValueError, RecursionError):
            # somebody else's, and nothing we would make: it is no reason not to make it
            return StoredImage(document.descriptor.digest, document.descriptor.size, "")

    def _learn(self, repository: Repository, manifest: StoredManifest) -> None:
        """Where blobs are and what layers become: another image often shares some."""
        self._pusher.note(repository, manifest.blobs)
        for key, layer in manifest.layers.items():
            self._pusher.note_layer(key, layer)

    def _locate(self, ref: str) -> Reference:
        try:
            return self.client.locate_own(ref)
        except ValueError as error:
            raise WorldError(str(error)) from error

    def _told(self, ref: str) -> OnUpload:
        has_told: list[str] = []

        def tell() -> None:
            if not has_told:
                has_told.append(ref)
                self._notify(ref, "pushing")

        return tell


@contextmanager
def _readable(where: Reference) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(Path(error.filename or str(where)), "read it for the image", error) from error
