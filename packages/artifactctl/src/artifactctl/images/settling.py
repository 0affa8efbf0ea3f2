"""An image as the engine's own builder has pushed it, made the same on every machine (contract §13).

    manifest ─the layers of this build▶ times out, uncompressed ─▶ configuration, manifest, same reference

That builder can't set the times in layers, and its compression depends on its version. The layers of the base
stay as they are. The input digest comes with the new configuration: what was interrupted is built again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve, frozen

from artifactctl.images.layers import MEDIA_TYPE
from artifactctl.images.oci import INPUTS, to_bytes
from artifactctl.images.timeless import timeless
from artifactctl.registry.blobs import Blob, blob_of
from artifactctl.registry.client import RegistryClient
from artifactctl.registry.descriptors import (
    CONFIG_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    JsonObject,
    as_list,
    as_object,
    describe,
    parse_descriptor,
)
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.references import Reference

_EPOCH = "1970-01-01T00:00:00Z"
# what an engine calls the layers it pushes, which are all compressed
_OCI_TYPES = {"application/vnd.docker.image.rootfs.diff.tar.gzip": f"{MEDIA_TYPE}+gzip"}
_GZIP = b"\x1f\x8b"
_ANY_HEADER = 47
_CHUNK = 1 << 20


@frozen
class _Layer:
    """A layer of this build, in a temporary file."""

    descriptor: Descriptor
    path: Path

    def blob(self) -> Blob:
        return Blob(self.descriptor.digest, self.descriptor.size, self._from)

    def _from(self, offset: int) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(offset)
            while chunk := file.read(_CHUNK):
                yield chunk


def settle(client: RegistryClient, where: Reference, inputs: str) -> None:
    """Replace the image under a reference by one that only depends on what it was made from.

    Raises:
        RegistryError: it can't be read or pushed.
        OSError: there is no room for a layer.
    """
    document = client.manifests.get(where, also_push=True)
    if document is None:
        raise RegistryError(where.repository.registry, f"read {where}", "not found after it was pushed")
    try:
        _settle(client, where, document.parse(), inputs)
    except (ValueError, zlib.error) as error:
        raise RegistryError(where.repository.registry, f"use {where}", f"malformed: {error}") from error


def _settle(client: RegistryClient, where: Reference, manifest: JsonObject, inputs: str) -> None:
    repository = where.repository
    stored = parse_descriptor(manifest.get("config"))
    config = as_object(json.loads(client.blobs.get(repository, stored.digest)))
    layers = [parse_descriptor(layer) for layer in as_list(manifest.get("layers"))]
    kept = len(layers) - _made_here(config, len(layers))
    with TemporaryDirectory(prefix="artifactctl-layers-") as name:
        made: list[_Layer] = []
        for number, layer in enumerate(layers[kept:]):
            chunks = client.blobs.read(repository, layer.digest)
            made.append(_write(Path(name) / str(number), timeless(_plain(chunks))))
        for one in made:
            _push(client, where, one.blob())
    own = [one.descriptor for one in made]
    data = _config(config, kept, own, inputs)
    _push(client, where, blob_of(describe(CONFIG_TYPE, data).digest, data))
    below = [
        evolve(layer, media_type=_OCI_TYPES.get(layer.media_type, layer.media_type))
        for layer in layers[:kept]
    ]
    client.manifests.put(where, MANIFEST_TYPE, _manifest(describe(CONFIG_TYPE, data), [*below, *own], inputs))


def _made_here(config: JsonObject, layers: int) -> int:
    """How many layers at the top are of this build, or of a base of ours: those without a time."""
    history = [as_object(one) for one in as_list(config.get("history") or [])]
    times = [one.get("created") for one in history if not one.get("empty_layer")]
    count = 0
    while count < min(layers, len(times)) and times[-1 - count] == _EPOCH:
        count += 1
    return count


def _write(path: Path, chunks: Iterable[bytes]) -> _Layer:
    digest, size = sha256(), 0
    with path.open("xb") as file:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
    return _Layer(Descriptor(MEDIA_TYPE, f"sha256:{digest.hexdigest()}", size), path)


def _plain(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A layer without its compression, if it has one."""
    source = iter(chunks)
    first = next(source, b"")
    if not first.startswith(_GZIP):
        yield first
        yield from source
        return
    inflate = zlib.decompressobj(_ANY_HEADER)
    yield inflate.decompress(first)
    for chunk in source:
        yield inflate.decompress(chunk)
    yield inflate.flush()


def _push(client: RegistryClient, where: Reference, blob: Blob) -> None:
    if not client.blobs.has(where.repository, blob.digest):
        client.blobs.push(where.repository, blob)


def _config(config: JsonObject, kept: int, own: Iterable[Descriptor], inputs: str) -> bytes:
    running = as_object(config.get("config") or {})
    labels = {**as_object(running.get("Labels") or {}), INPUTS: inputs}
    below = as_list(as_object(config.get("rootfs")).get("diff_ids"))[:kept]
    diff_ids = [*below, *(layer.digest for layer in own)]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    return to_bytes({**config, "config": {**running, "Labels": labels}, "rootfs": rootfs, "created": _EPOCH})


def _manifest(config: Descriptor, layers: Iterable[Descriptor], inputs: str) -> bytes:
    return to_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config.to_json(),
            "layers": [layer.to_json() for layer in layers],
            "annotations": {INPUTS: inputs},
        }
    )
