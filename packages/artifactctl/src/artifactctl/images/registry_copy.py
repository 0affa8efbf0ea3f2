"""An image from one repository to another, of the same registry or not, every byte as it is.

manifest or index ─each image of it▶ blobs, manifest by digest ─▶ the reference, last
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from artifactctl.images.oci import parse_manifest, to_bytes
from artifactctl.images.platforms import fits, platform_of
from artifactctl.images.pushing import OnUpload, Pusher
from artifactctl.images.recipe import Platform
from artifactctl.registry.client import RegistryClient
from artifactctl.registry.descriptors import as_list, as_object, parse_descriptor
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.manifests import StoredDocument
from artifactctl.registry.references import Reference


@frozen
class Copying:
    """From where to where; only these platforms, or all when there are none."""

    client: RegistryClient
    pusher: Pusher = field(eq=False)
    source: Reference
    target: Reference
    platforms: tuple[Platform, ...] = ()


def copy_image(copying: Copying, on_upload: OnUpload) -> StoredDocument:
    """Copy it unless the target is the same already; gives what the target reference stands for now.

    Raises:
        RegistryError: it isn't there, has no such platform, or can't be copied.
    """
    document = _get(copying, copying.source)
    try:
        wanted = _only(copying, document, copying.platforms) if copying.platforms else document
        if copying.client.manifests.digest(copying.target) == wanted.descriptor.digest:
            return wanted
        _copy(copying, wanted, on_upload)
    except ValueError as error:
        raise _error(copying, f"malformed: {error}") from error
    copying.client.manifests.put(copying.target, wanted.descriptor.media_type, wanted.data)
    return wanted


def _only(copying: Copying, document: StoredDocument, platforms: Sequence[Platform]) -> StoredDocument:
    """What of it is for these platforms: itself, one image of an index, or a smaller index."""
    if not document.is_index:
        return document
    index = document.parse()
    items = [as_object(item) for item in as_list(index.get("manifests"))]
    chosen = [
        item
        for item in items
        if any(fits(platform_of(as_object(item.get("platform") or {})), one) for one in platforms)
    ]
    if not chosen:
        raise _error(copying, f"it has no image for {', '.join(map(str, platforms))}")
    if len(chosen) == 1:
        return _get(copying, copying.source.with_digest(parse_descriptor(chosen[0]).digest))
    data = to_bytes({**index, "manifests": list(chosen)})
    return StoredDocument.of(document.descriptor.media_type, data)


def _copy(copying: Copying, document: StoredDocument, on_upload: OnUpload) -> None:
    """Everything the document refers to."""
    origin, repository = copying.source.repository, copying.target.repository
    if not document.is_index:
        for blob in dict.fromkeys(parse_manifest(document.data).blobs):
            copying.pusher.copy(repository, blob, origin, on_upload)
        return
    for item in as_list(document.parse().get("manifests")):
        digest = parse_descriptor(item).digest
        below = _get(copying, copying.source.with_digest(digest))
        _copy(copying, below, on_upload)
        copying.client.manifests.put(
            copying.target.with_digest(digest), below.descriptor.media_type, below.data
        )


def _get(copying: Copying, ref: Reference) -> StoredDocument:
    found = copying.client.manifests.get(ref)
    if found is None:
        raise _error(copying, "not found", 404)
    return found


def _error(copying: Copying, reason: str, status: int | None = None) -> RegistryError:
    what = f"copy {copying.source} to {copying.target}"
    return RegistryError(copying.source.repository.registry, what, reason, status=status)
