"""The target `oci-layout:DIR`: a directory as the OCI image layout specification has it.

    DIR/oci-layout   DIR/index.json (one entry a reference)   DIR/blobs/sha256/…
    DIR/.lock, .lock.holder (one writer at a time)   DIR/.staging/ (while somebody writes)

Blobs come first, the index last and atomically: whoever reads sees all of the old state or all of the new
one. Nothing is ever removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock

from artifact_contract.atomic import remove_stale, write_atomic

from artifactctl.disk import LocalDisk
from artifactctl.errors import DiskError, WorldError
from artifactctl.images.blobs import STAGING, BlobStore
from artifactctl.images.layers import MEDIA_TYPE, Layer, tar_chunks
from artifactctl.images.oci import (
    StoredManifest,
    config_document,
    manifest_document,
    parse_manifest,
    to_bytes,
)
from artifactctl.images.oci_index import EMPTY_INDEX, Index, index_entry, parse_index
from artifactctl.images.recipe import Recipe
from artifactctl.images.target import StoredImage
from artifactctl.lock import HOLDER, LOCK, LockHolder, OnWait, exclusive
from artifactctl.registry.descriptors import CONFIG_TYPE, MANIFEST_TYPE, Descriptor, JsonObject

LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
LAYOUT_VERSION = "1.0.0"

# a layer up to this size is made in memory, and written only when it is new
_IN_MEMORY = 4 << 20
_LARGEST_MANIFEST = 4 << 20
_LAYOUT_KEY = "imageLayoutVersion"
_OURS = frozenset({LAYOUT_FILE, INDEX_FILE, "blobs", LOCK, HOLDER, STAGING})


class LayoutError(WorldError):
    """The target directory holds something that isn't a usable OCI image layout."""

    def __init__(self, path: Path, expected: str, found: str) -> None:
        super().__init__(f"{path}: expected {expected}, found {found}; nothing was written")


@contextmanager
def open_layout(
    directory: Path, *, holder: LockHolder, lock_timeout: float, on_wait: OnWait, trust: bool = True
) -> Iterator[OciLayout]:
    """A layout to write to, made when it isn't there; without `trust` its blobs are all made again.

    Raises:
        LayoutError: it is something else than a layout of the version this tool writes.
        LockTimeoutError: another writer is at it for too long.
        DiskError: it can't be read or written.
    """
    with _disk_errors(directory, "use it as an OCI image layout"):
        _check(directory)
        directory.mkdir(parents=True, exist_ok=True)
    with exclusive(directory, timeout=lock_timeout, holder=holder, on_wait=on_wait, disk=LocalDisk()):
        with _disk_errors(directory, "use it as an OCI image layout"):
            index = _check(directory)
            layout = OciLayout(directory, index, trust=trust)
            layout.blobs.clear_staging()
        try:
            yield layout
        finally:
            layout.blobs.clear_staging()


class OciLayout:
    """A `Target`: one layout during one run."""

    def __init__(self, directory: Path, index: Index, *, trust: bool) -> None:
        self.directory = directory
        self.blobs = BlobStore(directory, trust=trust)
        self._index = index
        self._trust = trust
        self._made: dict[str, Descriptor] = {}
        self._entries: dict[str, JsonObject] = {}
        self._wanted: set[str] = set()
        self._guard = Lock()

    def find(self, ref: str) -> StoredImage | None:
        """The image with this reference, when its manifest is intact and its blobs have their sizes."""
        if not self._trust:
            return None
        manifest = self._index.descriptor(ref)
        with _disk_errors(self.directory, "read its images"):
            stored = self._stored(manifest) if manifest else None
            if not manifest or not stored or not all(map(self.blobs.has, stored.blobs)):
                return None
        return _image(manifest, stored.inputs, stored.blobs)

    def put(self, ref: str, recipe: Recipe) -> StoredImage:
        """Stage what the image needs and the layout doesn't have."""
        with _disk_errors(self.directory, "make the image"):
            return self._put(ref, recipe)

    def _put(self, ref: str, recipe: Recipe) -> StoredImage:
        layers = [(layer, self._put_layer(layer)) for layer in recipe.layers]
        made = [blob for _, blob in layers]
        config = self.blobs.put(CONFIG_TYPE, config_document(recipe, [blob.digest for blob in made]))
        manifest = self.blobs.put(MANIFEST_TYPE, manifest_document(recipe, config, layers))
        with self._guard:
            self._entries[ref] = index_entry(ref, manifest, recipe.platform)
            self._wanted.update(blob.digest for blob in (*made, config, manifest))
        return _image(manifest, recipe.inputs, (*made, config))

    def commit(self) -> None:
        """Publish the blobs of all images that were put, then the index."""
        # the order of threads is no order: the index gets the references sorted
        index = self._index.with_images({ref: self._entries[ref] for ref in sorted(self._entries)})
        with _disk_errors(self.directory, "write the images"):
            remove_stale(self.directory)
            (self.directory / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
            self.blobs.publish(sorted(self._wanted))
            self._write_if_changed(INDEX_FILE, index.to_bytes(), changed=index != self._index)
            self._write_if_changed(LAYOUT_FILE, to_bytes({_LAYOUT_KEY: LAYOUT_VERSION}))
        self._index = index
        self._entries.clear()
        self._wanted.clear()

    def _write_if_changed(self, name: str, data: bytes, *, changed: bool = False) -> None:
        path = self.directory / name
        if changed or not path.exists():
            write_atomic(path, data)

    def _stored(self, manifest: Descriptor) -> StoredManifest | None:
        if manifest.size > _LARGEST_MANIFEST or not self.blobs.has(manifest):
            return None
        data = self.blobs.read(manifest)
        try:
            return parse_manifest(data) if data else None
        except (ValueError, RecursionError):
            return None

    def _put_layer(self, layer: Layer) -> Descriptor:
        made = self._made.get(layer.key)
        if made is None:
            known = self._known_layers.get(layer.key)
            made = known if known and self.blobs.has(known) else self._make_layer(layer)
            self._made[layer.key] = made
        return made

    def _make_layer(self, layer: Layer) -> Descriptor:
        if layer.content_size <= _IN_MEMORY:
            return self.blobs.put(MEDIA_TYPE, b"".join(tar_chunks(layer.entries)))
        return self.blobs.put_stream(MEDIA_TYPE, tar_chunks(layer.entries))

    @cached_property
    def _known_layers(self) -> Mapping[str, Descriptor]:
        """The layers of all images in the layout by their key: a new image often shares some."""
        found: dict[str, Descriptor] = {}
        for ref in self._index.by_ref if self._trust else ():
            manifest = self._index.descriptor(ref)
            stored = self._stored(manifest) if manifest else None
            found.update(stored.layers if stored else {})
        return found


def _image(manifest: Descriptor, inputs: str, blobs: tuple[Descriptor, ...]) -> StoredImage:
    return StoredImage(manifest.digest, manifest.size + sum(blob.size for blob in blobs), inputs)


def _check(directory: Path) -> Index:
    """The index of an existing layout, an empty one where there is nothing yet; writes nothing."""
    if not directory.exists():
        return EMPTY_INDEX
    if not directory.is_dir():
        raise LayoutError(directory, "a directory", "a file")
    _check_version(directory)
    path = directory / INDEX_FILE
    try:
        return parse_index(path.read_bytes())
    except FileNotFoundError:
        return EMPTY_INDEX
    except (ValueError, RecursionError) as error:
        raise LayoutError(path, "the index of an OCI image layout", str(error)) from error


def _check_version(directory: Path) -> None:
    path = directory / LAYOUT_FILE
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        # atomic writing leaves `.write-….tmp` behind when it is killed
        others = [entry.name for entry in directory.iterdir() if entry.name not in _OURS]
        foreign = sorted(name for name in others if not name.endswith(".tmp"))
        if foreign:
            raise LayoutError(directory, "an OCI image layout or an empty directory", foreign[0]) from None
        return
    except (ValueError, RecursionError) as error:
        raise LayoutError(path, "JSON", str(error)) from error
    version = document.get(_LAYOUT_KEY) if isinstance(document, dict) else None
    if version != LAYOUT_VERSION:
        raise LayoutError(path, f"{_LAYOUT_KEY} {LAYOUT_VERSION}", repr(version))


@contextmanager
def _disk_errors(path: Path, action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(Path(error.filename or path), action, error) from error
