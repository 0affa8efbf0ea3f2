"""An OCI image layout directory: reference -> manifest -> config and layers, every blob checked.

https://github.com/opencontainers/image-spec: image-layout.md, manifest.md, config.md. Reads only.
"""

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from esb_agent.errors import ImageBrokenError, ImageNotFoundError

REF_NAME = "org.opencontainers.image.ref.name"
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MAX_JSON_BYTES = 4 * 1024 * 1024

Json = Mapping[str, object]


@frozen
class Descriptor:
    """A blob: where it lies, and what it must be."""

    path: Path
    digest: str
    size: int
    media_type: str


@frozen
class ImageConfig:
    """The part of an image's config a process needs."""

    environment: Mapping[str, str]
    command: tuple[str, ...]
    entrypoint: tuple[str, ...]
    directory: str


@frozen
class ImageManifest:
    """An image: its digest is its identity."""

    digest: str
    config: ImageConfig
    layers: tuple[Descriptor, ...]


def manifest_digests(layout: Path) -> dict[str, str]:
    """Reference -> manifest digest, of all images in the layout.

    Raises:
        ImageNotFoundError: there is no layout.
        ImageBrokenError: its index is not one.
    """
    return {ref: descriptor.digest for ref, descriptor in _references(layout).items()}


def find_manifest(layout: Path, ref: str) -> ImageManifest:
    """The image of that reference.

    Raises:
        ImageNotFoundError: no layout, or no such reference in it. ImageBrokenError: a blob is missing or
        not what its digest says, or a document is not what it should be.
    """
    references = _references(layout)
    if ref not in references:
        raise ImageNotFoundError(
            f"{ref}: not in the image layout {layout}, which holds {len(references)} images"
        )
    descriptor = references[ref]
    document = _read_json(descriptor)
    if descriptor.media_type in INDEX_TYPES or "manifests" in document:
        descriptor = _for_this_machine(layout, document, descriptor)
        document = _read_json(descriptor)
    where = f"manifest {descriptor.digest}"
    config = _descriptor(layout, document.get("config"), f"{where}: config")
    layers = _list(document, "layers", where)
    return ImageManifest(
        digest=descriptor.digest,
        config=_config(_read_json(config), f"config {config.digest}"),
        layers=tuple(_descriptor(layout, layer, f"{where}: layers[{i}]") for i, layer in enumerate(layers)),
    )


def _references(layout: Path) -> dict[str, Descriptor]:
    index = layout / "index.json"
    try:
        document = _parse_json(index.read_bytes(), str(index))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageNotFoundError(f"{layout}: no OCI image layout (no index.json)") from error
    except OSError as error:
        raise ImageBrokenError(f"{index}: cannot be read: {error.strerror}") from error
    found = {}
    for i, entry in enumerate(_list(document, "manifests", str(index))):
        annotations = entry.get("annotations") if isinstance(entry, dict) else None
        ref = annotations.get(REF_NAME) if isinstance(annotations, dict) else None
        if isinstance(ref, str):
            found[ref] = _descriptor(layout, entry, f"{index}: manifests[{i}]")
    return found


def _for_this_machine(layout: Path, index: Json, at: Descriptor) -> Descriptor:
    machine = ARCHITECTURES.get(platform.machine(), platform.machine())
    entries = _list(index, "manifests", f"index {at.digest}")
    for i, entry in enumerate(entries):
        wanted = entry.get("platform") if isinstance(entry, dict) else None
        if isinstance(wanted, dict) and (wanted.get("os"), wanted.get("architecture")) == ("linux", machine):
            return _descriptor(layout, entry, f"index {at.digest}: manifests[{i}]")
    raise ImageBrokenError(f"index {at.digest}: no manifest for linux/{machine}")


def _descriptor(layout: Path, value: object, where: str) -> Descriptor:
    if not isinstance(value, dict):
        raise ImageBrokenError(f"{where}: expected a descriptor, found {type(value).__name__}")
    digest, size = value.get("digest"), value.get("size")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise ImageBrokenError(f"{where}.digest: expected sha256:<64 hex digits>, found {digest!r}")
    if not isinstance(size, int):
        raise ImageBrokenError(f"{where}.size: expected a number, found {size!r}")
    path = layout / "blobs" / "sha256" / digest.removeprefix("sha256:")
    return Descriptor(path, digest, size, str(value.get("mediaType", "")))


def _read_json(descriptor: Descriptor) -> Json:
    if descriptor.size > MAX_JSON_BYTES:
        raise ImageBrokenError(
            f"{descriptor.digest}: a document of {descriptor.size} bytes, at most {MAX_JSON_BYTES}"
        )
    try:
        data = descriptor.path.read_bytes()
    except OSError as error:
        raise ImageBrokenError(f"blob {descriptor.digest}: cannot be read: {error.strerror}") from error
    check_blob(descriptor, hashlib.sha256(data).hexdigest(), len(data))
    return _parse_json(data, f"blob {descriptor.digest}")


def check_blob(descriptor: Descriptor, found_hex: str, found_size: int) -> None:
    """What was read is what the descriptor says, or ImageBrokenError."""
    if f"sha256:{found_hex}" != descriptor.digest or found_size != descriptor.size:
        raise ImageBrokenError(
            f"blob {descriptor.digest}: expected {descriptor.size} bytes of that digest, "
            f"found {found_size} bytes of sha256:{found_hex}"
        )


def _parse_json(data: bytes, where: str) -> Json:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise ImageBrokenError(f"{where}: expected JSON: {error}") from error
    if not isinstance(document, dict):
        raise ImageBrokenError(f"{where}: expected an object, found {type(document).__name__}")
    return document


def _list(document: Json, key: str, where: str) -> list[object]:
    value = document.get(key, [])
    if not isinstance(value, list):
        raise ImageBrokenError(f"{where}: {key}: expected a list, found {type(value).__name__}")
    return value


def _config(document: Json, where: str) -> ImageConfig:
    config = document.get("config") or {}
    if not isinstance(config, dict):
        raise ImageBrokenError(f"{where}: config: expected an object, found {type(config).__name__}")
    environment = [str(item).partition("=") for item in config.get("Env") or ()]
    return ImageConfig(
        environment={name: value for name, _, value in environment},
        command=tuple(map(str, config.get("Cmd") or ())),
        entrypoint=tuple(map(str, config.get("Entrypoint") or ())),
        directory=str(config.get("WorkingDir") or ""),
    )
