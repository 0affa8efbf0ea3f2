"""The JSON documents of an image: configuration, manifest, index, as the OCI image specification has them.

Always the same bytes for the same values: keys sorted, no spaces, one fixed time. The input digest of the
recipe is an annotation of the manifest, so that the next run sees that nothing changed without building
anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256

from attrs import frozen

from artifactctl.images.layers import Layer
from artifactctl.images.recipe import ImageConfig, Platform, Recipe

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
REF_NAME = "org.opencontainers.image.ref.name"
BASE_NAME = "org.opencontainers.image.base.name"
INPUTS = "io.esb.image.inputs"
LAYER_INPUTS = "io.esb.layer.inputs"

_CREATED = "1970-01-01T00:00:00Z"

JsonObject = dict[str, object]


@frozen
class Descriptor:
    """A blob by its content; `digest` is `sha256:` and 64 hexadecimal digits."""

    media_type: str
    digest: str
    size: int

    def to_json(self, **more: object) -> JsonObject:
        """The descriptor as a document refers to it; what is empty is left out."""
        return {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
            **{name: value for name, value in more.items() if value},
        }


def describe(media_type: str, data: bytes) -> Descriptor:
    """The descriptor of a blob with these bytes."""
    return Descriptor(media_type, f"sha256:{sha256(data).hexdigest()}", len(data))


def to_bytes(document: JsonObject) -> bytes:
    """A document as it is stored."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def config_document(recipe: Recipe, diff_ids: Sequence[str]) -> bytes:
    """The image configuration; layers are uncompressed, so that their digests are their diff ids."""
    history = [{"created": _CREATED, "created_by": layer.created_by} for layer in recipe.layers]
    return to_bytes(
        {
            **platform_document(recipe.platform),
            "created": _CREATED,
            "config": _runtime_config(recipe.config),
            "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
            "history": history,
        }
    )


def _runtime_config(config: ImageConfig) -> JsonObject:
    found: JsonObject = {
        "Env": [f"{name}={value}" for name, value in config.env.items()],
        "Labels": dict(config.labels),
        "Entrypoint": list(config.entrypoint or ()),
        "Cmd": list(config.cmd or ()),
        "WorkingDir": config.workdir,
        "User": config.user,
        "StopSignal": config.stop_signal,
        "ExposedPorts": {port: {} for port in config.ports},
        "Volumes": {volume: {} for volume in config.volumes},
    }
    return {name: value for name, value in found.items() if value}


def platform_document(platform: Platform) -> JsonObject:
    """A platform as configuration and index have it."""
    variant = {"variant": platform.variant} if platform.variant else {}
    return {"os": platform.os, "architecture": platform.architecture, **variant}


def manifest_document(
    recipe: Recipe, config: Descriptor, layers: Sequence[tuple[Layer, Descriptor]]
) -> bytes:
    """The image manifest."""
    return to_bytes(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config.to_json(),
            "layers": [made.to_json(annotations={LAYER_INPUTS: layer.key}) for layer, made in layers],
            "annotations": {INPUTS: recipe.inputs, BASE_NAME: recipe.base.name},
        }
    )


@frozen
class StoredManifest:
    """What we need of a manifest that somebody, most likely we ourselves, has stored."""

    inputs: str
    blobs: tuple[Descriptor, ...]
    layers: Mapping[str, Descriptor]


def parse_manifest(data: bytes) -> StoredManifest:
    """The parts of a stored manifest that decide whether it can be used again.

    Raises:
        ValueError: it isn't an image manifest.
    """
    document = _object(json.loads(data))
    config = parse_descriptor(document.get("config"))
    layers: dict[str, Descriptor] = {}
    blobs = [config]
    for item in _list(document.get("layers")):
        blob = parse_descriptor(item)
        blobs.append(blob)
        key = _object(_object(item).get("annotations", {})).get(LAYER_INPUTS)
        if isinstance(key, str):
            layers[key] = blob
    inputs = _object(document.get("annotations", {})).get(INPUTS, "")
    return StoredManifest(str(inputs), tuple(blobs), layers)


def parse_descriptor(value: object) -> Descriptor:
    """A descriptor in a document.

    Raises:
        ValueError: it isn't one, or not one with a SHA-256 digest.
    """
    found = _object(value)
    digest, size, media_type = found.get("digest"), found.get("size"), found.get("mediaType")
    if not isinstance(digest, str) or not isinstance(size, int) or not isinstance(media_type, str):
        raise ValueError(f"a descriptor expected, {value!r} found")  # noqa: TRY004 - bad data, not a bug
    algorithm, _, hexadecimal = digest.partition(":")
    if algorithm != "sha256" or len(hexadecimal) != 64 or not set(hexadecimal) <= set("0123456789abcdef"):
        raise ValueError(f"a SHA-256 digest expected, {digest!r} found")
    return Descriptor(media_type, digest, size)


def _object(value: object) -> JsonObject:
    if not isinstance(value, dict):
        raise ValueError(f"an object expected, {value!r:.40} found")  # noqa: TRY004 - bad data, not a bug
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"an array expected, {value!r:.40} found")  # noqa: TRY004 - bad data, not a bug
    return value
