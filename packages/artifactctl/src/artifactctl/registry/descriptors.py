"""What refers to a blob by its content, and the media types of the documents that do so."""

from __future__ import annotations

import re
from hashlib import sha256

from attrs import frozen

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
DOCKER_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX_TYPE = "application/vnd.docker.distribution.manifest.list.v2+json"

INDEX_TYPES = frozenset({INDEX_TYPE, DOCKER_INDEX_TYPE})
MANIFEST_TYPES = frozenset({MANIFEST_TYPE, DOCKER_MANIFEST_TYPE})

JsonObject = dict[str, object]

_DIGEST = re.compile("sha256:[0-9a-f]{64}")


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


def parse_descriptor(value: object) -> Descriptor:
    """A descriptor in a document.

    Raises:
        ValueError: it isn't one, or not one with a SHA-256 digest.
    """
    found = as_object(value)
    digest, size, media_type = found.get("digest"), found.get("size"), found.get("mediaType")
    if not isinstance(digest, str) or not isinstance(size, int) or not isinstance(media_type, str):
        raise ValueError(f"a descriptor expected, {value!r} found")  # noqa: TRY004 - bad data, not a bug
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"a SHA-256 digest expected, {digest!r} found")
    return Descriptor(media_type, digest, size)


def as_object(value: object) -> JsonObject:
    """A value that must be a JSON object.

    Raises:
        ValueError: it isn't one.
    """
    if not isinstance(value, dict):
        raise ValueError(f"an object expected, {value!r:.40} found")  # noqa: TRY004 - bad data, not a bug
    return value


def as_list(value: object) -> list[object]:
    """A value that must be a JSON array.

    Raises:
        ValueError: it isn't one.
    """
    if not isinstance(value, list):
        raise ValueError(f"an array expected, {value!r:.40} found")  # noqa: TRY004 - bad data, not a bug
    return value
