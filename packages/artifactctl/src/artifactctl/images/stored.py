"""What is in a registry under a reference: enough to say whether it is what would be made again."""

from __future__ import annotations

import json

from artifactctl.images.oci import INPUTS, StoredManifest, parse_manifest
from artifactctl.images.target import StoredImage
from artifactctl.registry.client import RegistryClient
from artifactctl.registry.descriptors import (
    Descriptor,
    JsonObject,
    as_list,
    as_object,
    parse_descriptor,
)
from artifactctl.registry.manifests import StoredDocument
from artifactctl.registry.references import Reference

# what a builder adds to an index about an image: no image itself
_ATTESTATION = "vnd.docker.reference.type"


def image_in(client: RegistryClient, ref: Reference, document: StoredDocument) -> StoredImage:
    """The image a manifest or an index stands for; its size counts the blobs that it names itself.

    Its input digest is an annotation where we made it, else a label, which is in the configuration.

    Raises:
        RegistryError: the registry can't be asked.
        ValueError: the documents aren't those of an image.
    """
    if not document.is_index:
        return image_of(client, ref, document.descriptor, parse_manifest(document.data))
    found = document.parse()
    inputs = str(as_object(found.get("annotations") or {}).get(INPUTS) or "")
    images = images_in(found)
    if not inputs and images:
        below = client.manifests.get(ref.with_digest(images[0].digest))
        inputs = image_in(client, ref, below).inputs if below and not below.is_index else ""
    size = sum(image.size for image in images)
    return StoredImage(document.descriptor.digest, document.descriptor.size + size, inputs)


def image_of(
    client: RegistryClient, ref: Reference, described: Descriptor, manifest: StoredManifest
) -> StoredImage:
    """As `image_in`, of a manifest that was parsed already."""
    inputs = manifest.inputs or _label(client, ref, manifest)
    size = sum(blob.size for blob in manifest.blobs)
    return StoredImage(described.digest, described.size + size, inputs)


def images_in(index: JsonObject) -> list[Descriptor]:
    """The images an index lists, without what was only said about them.

    Raises:
        ValueError: it isn't an index.
    """
    return [parse_descriptor(item) for item in as_list(index.get("manifests")) if not _is_attestation(item)]


def _is_attestation(item: object) -> bool:
    return _ATTESTATION in as_object(as_object(item).get("annotations") or {})


def _label(client: RegistryClient, ref: Reference, manifest: StoredManifest) -> str:
    config = manifest.blobs[0]
    try:
        document = as_object(json.loads(client.blobs.get(ref.repository, config.digest)))
    except RecursionError as error:
        raise ValueError("a configuration less deep expected") from error
    labels = as_object(as_object(document.get("config") or {}).get("Labels") or {})
    return str(labels.get(INPUTS) or "")
