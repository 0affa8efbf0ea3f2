"""From the documents of an image to what is needed of it. Pure: bytes in, values out.

An index names one manifest for each platform; a manifest its configuration and its layers; the configuration
says how to start, and what each layer is when unpacked.
"""

import hashlib
import json
import platform
from collections.abc import Sequence
from typing import Any

from attrs import frozen

from esb_agent.errors import ImageBrokenError

OCI = "application/vnd.oci.image"
DOCKER = "application/vnd.docker.distribution"
INDEXES = (f"{OCI}.index.v1+json", f"{DOCKER}.manifest.list.v2+json")
MANIFESTS = (f"{OCI}.manifest.v1+json", f"{DOCKER}.manifest.v2+json")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@frozen
class Descriptor:
    """A blob: what it is, its digest and its size."""

    media_type: str
    digest: str
    size: int


@frozen
class Manifest:
    """One platform's image."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


@frozen(kw_only=True)
class Layer:
    """`name` and `parent` are the snapshots with and without it; `diff_id` is the digest of its tar."""

    blob: Descriptor
    diff_id: str
    name: str
    parent: str


@frozen(kw_only=True)
class ImageFacts:
    """What a start needs. `chain_id` names the snapshot of all layers, `digest` the manifest."""

    chain_id: str
    digest: str
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""


def digest_of(data: bytes) -> str:
    """As registries name blobs."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def checked(data: bytes, digest: str, what: str) -> bytes:
    """The data, when it is what its digest says. Raises ImageBrokenError."""
    if (found := digest_of(data)) != digest:
        raise ImageBrokenError(f"{what}: expected {digest}, found {found}")
    return data


def media_type_of(data: bytes, told: str, what: str) -> str:
    """What a document says it is, else what the registry said."""
    return str(_object(data, what).get("mediaType") or told)


def parse_manifest(data: bytes, what: str) -> Manifest:
    """Raises ImageBrokenError."""
    told = _object(data, what)
    if "layers" not in told:
        raise ImageBrokenError(f"{what}: not an image's manifest: expected layers, found none")
    layers = tuple(_described(one, what) for one in _list(told, "layers", what))
    return Manifest(_described(told.get("config"), what), layers)


def for_this_host(data: bytes, what: str) -> Descriptor:
    """The manifest that an index has for Linux on this machine. Raises ImageBrokenError."""
    machine = platform.machine()
    wanted = _ARCHITECTURES.get(machine, machine)
    there = []
    for entry in _list(_object(data, what), "manifests", what):
        system = _mapping(entry, "platform", what)
        there.append(f"{system.get('os')}/{system.get('architecture')}")
        if there[-1] == f"linux/{wanted}":
            return _described(entry, what)
    raise ImageBrokenError(f"{what}: expected one for linux/{wanted}, found {', '.join(there) or 'none'}")


def parse_facts(data: bytes, manifest: Manifest, digest: str, what: str) -> ImageFacts:
    """What the configuration says. Raises ImageBrokenError."""
    layers = diff_ids(data, manifest, what)
    config = _mapping(_object(data, what), "config", what)
    return ImageFacts(
        chain_id=chain_ids(layers)[-1] if layers else "",
        digest=digest,
        entrypoint=_texts(config, "Entrypoint", what),
        cmd=_texts(config, "Cmd", what),
        env=_texts(config, "Env", what),
        workdir=str(config.get("WorkingDir") or ""),
        user=str(config.get("User") or ""),
    )


def diff_ids(data: bytes, manifest: Manifest, what: str) -> tuple[str, ...]:
    """The digest of each layer's tar. Raises ImageBrokenError: not as many as there are layers."""
    found = _texts(_mapping(_object(data, what), "rootfs", what), "diff_ids", what)
    if len(found) != len(manifest.layers):
        raise ImageBrokenError(f"{what}: expected {len(manifest.layers)} diff_ids, found {len(found)}")
    return found


def layers_of(data: bytes, manifest: Manifest, what: str) -> tuple[Layer, ...]:
    """The layers with what the configuration says of them, lowest first. Raises ImageBrokenError."""
    layers = diff_ids(data, manifest, what)
    names = chain_ids(layers)
    parents = ("", *names[:-1]) if names else ()
    return tuple(
        Layer(blob=blob, diff_id=layer, name=name, parent=parent)
        for blob, layer, name, parent in zip(manifest.layers, layers, names, parents, strict=True)
    )


def chain_ids(layers: Sequence[str]) -> tuple[str, ...]:
    """The names of the snapshots of the first layer, of the first two, and so on."""
    chain: list[str] = []
    for layer in layers:
        chain.append(digest_of(f"{chain[-1]} {layer}".encode()) if chain else layer)
    return tuple(chain)


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except ValueError as error:
        raise ImageBrokenError(f"{what}: not JSON: {error}") from error
    if not isinstance(told, dict):
        raise ImageBrokenError(f"{what}: expected a JSON object, found {type(told).__name__}")
    return told


def _mapping(told: Any, key: str, what: str) -> dict[str, Any]:
    value = told.get(key) if isinstance(told, dict) else told
    if value is not None and not isinstance(value, dict):
        raise ImageBrokenError(f"{what}: {key}: expected a JSON object, found {value!r}")
    return value or {}


def _list(told: dict[str, Any], key: str, what: str) -> list[Any]:
    value = told.get(key)
    if value is not None and not isinstance(value, list):
        raise ImageBrokenError(f"{what}: {key}: expected a list, found {value!r}")
    return value or []


def _texts(told: dict[str, Any], key: str, what: str) -> tuple[str, ...]:
    return tuple(str(one) for one in _list(told, key, what))


def _described(entry: Any, what: str) -> Descriptor:
    try:
        return Descriptor(str(entry.get("mediaType") or ""), str(entry["digest"]), int(entry["size"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ImageBrokenError(f"{what}: expected digest and size of a blob, found {entry!r}") from error
