"""An image as an archive that an engine loads: `manifest.json`, the configuration, and the layers of ours.

The layers of the base are named and left out: an engine that has the base doesn't look for them.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from attrs import frozen

from artifactctl.images.layers import Layer, tar_chunks
from artifactctl.images.oci import config_document
from artifactctl.images.recipe import Recipe

_END = bytes(2 * tarfile.BLOCKSIZE)


@frozen
class LayerFile:
    """A layer with the digest and the size of its archive."""

    layer: Layer
    diff_id: str
    size: int


@frozen
class Loadable:
    """An image to load; its id is the digest of its configuration."""

    ref: str
    config: bytes
    base: tuple[str, ...]
    layers: tuple[LayerFile, ...]

    @property
    def id(self) -> str:
        """What the engine will call it."""
        return f"sha256:{sha256(self.config).hexdigest()}"


def measure(layer: Layer) -> LayerFile:
    """A layer with its digest, made once for that and forgotten.

    Raises:
        OSError: a file can't be read.
    """
    digest, size = sha256(), 0
    for chunk in tar_chunks(layer.entries):
        digest.update(chunk)
        size += len(chunk)
    return LayerFile(layer, f"sha256:{digest.hexdigest()}", size)


def loadable(ref: str, recipe: Recipe, layers: Sequence[LayerFile]) -> Loadable:
    """The image of a recipe, on top of a base that the engine has."""
    config = config_document(recipe, [layer.diff_id for layer in layers])
    return Loadable(ref, config, tuple(layer.diff_id for layer in recipe.base.remote), tuple(layers))


def archive_chunks(image: Loadable) -> Iterator[bytes]:
    """The archive, piece by piece.

    Raises:
        OSError: a file can't be read, or was changed since it was hashed.
    """
    config = f"{image.id.removeprefix('sha256:')}.json"
    names = [f"{digest.removeprefix('sha256:')}.tar" for digest in image.base]
    ours = {f"{one.diff_id.removeprefix('sha256:')}.tar": one for one in image.layers}
    order = [f"{one.diff_id.removeprefix('sha256:')}.tar" for one in image.layers]
    manifest = [{"Config": config, "RepoTags": [image.ref], "Layers": [*names, *order]}]
    yield from _member("manifest.json", [json.dumps(manifest).encode()])
    yield from _member(config, [image.config])
    for name, one in ours.items():
        yield from _member(name, tar_chunks(one.layer.entries), one.size)
    yield _END


def _member(name: str, chunks: Iterable[bytes], size: int | None = None) -> Iterator[bytes]:
    pieces = list(chunks) if size is None else chunks
    info = tarfile.TarInfo(name)
    info.size = sum(map(len, pieces)) if size is None else size
    yield info.tobuf(tarfile.GNU_FORMAT)
    yield from pieces
    yield bytes(-info.size % tarfile.BLOCKSIZE)
