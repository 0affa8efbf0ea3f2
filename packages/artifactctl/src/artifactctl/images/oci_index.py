"""`index.json` of an OCI image layout: one entry a reference, what we don't know kept as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property

from attrs import frozen

from artifactctl.images.oci import REF_NAME, platform_document, to_bytes
from artifactctl.images.recipe import Platform
from artifactctl.registry.descriptors import (
    INDEX_TYPE,
    MANIFEST_TYPE,
    Descriptor,
    JsonObject,
    parse_descriptor,
)


@frozen(slots=False)
class Index:
    """The document as it was read, or an empty one."""

    document: Mapping[str, object]
    manifests: tuple[object, ...] = ()

    @cached_property
    def by_ref(self) -> Mapping[str, tuple[object, ...]]:
        """The entries by their reference; those without one aren't among them."""
        found: dict[str, tuple[object, ...]] = {}
        for entry in self.manifests:
            ref = _ref_of(entry)
            if ref is not None:
                found[ref] = (*found.get(ref, ()), entry)
        return found

    def descriptor(self, ref: str) -> Descriptor | None:
        """The image manifest of a reference, nothing when there is none or not exactly one."""
        entries = self.by_ref.get(ref, ())
        if len(entries) != 1:
            return None
        try:
            found = parse_descriptor(entries[0])
        except ValueError:
            return None
        return found if found.media_type == MANIFEST_TYPE else None

    def with_images(self, images: Mapping[str, JsonObject]) -> Index:
        """An index in which each reference has this one entry: in its old place, or at the end."""
        pending = dict(images)
        kept: list[object] = []
        for entry in self.manifests:
            ref = _ref_of(entry)
            if ref not in images:
                kept.append(entry)
            elif ref in pending:
                kept.append(pending.pop(ref))
        return Index(self.document, (*kept, *pending.values()))

    def to_bytes(self) -> bytes:
        """The document as it is stored."""
        return to_bytes({**self.document, "manifests": list(self.manifests)})


EMPTY_INDEX = Index({"schemaVersion": 2, "mediaType": INDEX_TYPE})


def parse_index(data: bytes) -> Index:
    """A stored index.

    Raises:
        ValueError: it isn't one.
    """
    document = json.loads(data)
    if not isinstance(document, dict) or not isinstance(document.get("manifests"), list):
        raise ValueError("an object with a list `manifests` expected")  # noqa: TRY004 - bad data, not a bug
    if document.get("schemaVersion") != 2:
        raise ValueError(f"schemaVersion 2 expected, {document.get('schemaVersion')!r} found")
    to_bytes(
        document
    )  # what can't be written again, half of a surrogate pair, is a ValueError now and not later
    return Index(document, tuple(document["manifests"]))


def index_entry(ref: str, manifest: Descriptor, platform: Platform) -> JsonObject:
    """The entry of one image."""
    return manifest.to_json(annotations={REF_NAME: ref}, platform=platform_document(platform))


def _ref_of(entry: object) -> str | None:
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    ref = annotations.get(REF_NAME) if isinstance(annotations, dict) else None
    return ref if isinstance(ref, str) else None
