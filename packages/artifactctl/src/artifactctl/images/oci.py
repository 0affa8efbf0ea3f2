"""The JSON documents of an image: configuration, manifest, index, as the OCI image specification has them.

Always the same bytes for the same values: keys sorted, no spaces, one fixed time. The input digest of the
recipe is an annotation of the manifest and a label of the image, so that the next run sees that nothing
changed without building anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from attrs import frozen

from artifactctl.images.layers import Layer
from artifactctl.images.recipe import ImageConfig, Platform, Recipe
from artifactctl.registry.descriptors import (
    INDEX_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    JsonObject,
    as_list,
    as_object,
    parse_descriptor,
)

REF_NAME = "org.opencontainers.image.ref.name"
BASE_NAME = "org.opencontainers.image.base.name"
INPUTS = "io.esb.inputs"
LAYER_INPUTS = "io.esb.layer.inputs"

_CREATED = "1970-01-01T00:00:00Z"


def to_bytes(document: JsonObject) -> bytes:
    """A document as it is stored."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def config_document(recipe: Recipe, diff_ids: Sequence[str]) -> bytes:
    """The image configuration; our layers are uncompressed, so that their digests are their diff ids."""
    own = [{"created": _CREATED, "created_by": layer.created_by} for layer in recipe.layers]
    below = [layer.diff_id for layer in recipe.base.remote]
    return to_bytes(
        {
            **platform_document(recipe.platform),
            "created": _CREATED,
            "config": _runtime_config(recipe.config, recipe.inputs),
            "rootfs": {"type": "layers", "diff_ids": [*below, *diff_ids]},
            "history": [*recipe.base.history, *own],
        }
    )


def _runtime_config(config: ImageConfig, inputs: str) -> JsonObject:
    found: JsonObject = {
        **config.more,
        "Env": [f"{name}={value}" for name, value in config.env.items()],
        "Labels": {**config.labels, INPUTS: inputs},
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
            "layers": [
                *(layer.blob.to_json() for layer in recipe.base.remote),
                *(made.to_json(annotations={LAYER_INPUTS: layer.key}) for layer, made in layers),
            ],
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
    document = as_object(json.loads(data))
    config = parse_descriptor(document.get("config"))
    layers: dict[str, Descriptor] = {}
    blobs = [config]
    for item in as_list(document.get("layers")):
        blob = parse_descriptor(item)
        blobs.append(blob)
        key = as_object(as_object(item).get("annotations", {})).get(LAYER_INPUTS)
        if isinstance(key, str):
            layers[key] = blob
    inputs = as_object(document.get("annotations", {})).get(INPUTS, "")
    return StoredManifest(str(inputs), tuple(blobs), layers)


def index_document(inputs: str, images: Sequence[tuple[Descriptor, Platform]]) -> bytes:
    """The index of an image for several platforms."""
    return to_bytes(
        {
            "schemaVersion": 2,
            "mediaType": INDEX_TYPE,
            "manifests": [image.to_json(platform=platform_document(platform)) for image, platform in images],
            "annotations": {INPUTS: inputs},
        }
    )
