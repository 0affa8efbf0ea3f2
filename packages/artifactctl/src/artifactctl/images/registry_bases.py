"""What a FROM brings along from a registry: layers that stay where they are, a configuration to inherit.

FROM ─override, rename▶ reference ─manifest, of the platform▶ layers, configuration ─▶ Base
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from artifact_contract.errors import FieldError
from attrs import evolve

from artifactctl.images.bases import ExternalBases, empty_base
from artifactctl.images.once import Once
from artifactctl.images.platforms import best, fits, platform_of
from artifactctl.images.recipe import Base, ImageConfig, Platform, RemoteLayer
from artifactctl.images.tree import ImageTree, ancestors, directory
from artifactctl.images.words import UnsupportedError
from artifactctl.registry.client import RegistryClient
from artifactctl.registry.descriptors import (
    Descriptor,
    JsonObject,
    as_list,
    as_object,
    parse_descriptor,
)
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.manifests import StoredDocument
from artifactctl.registry.references import Reference, parse_reference

# the same bytes under the names of both specifications
_LAYER_TYPES = {
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}
_INHERITED = ("ArgsEscaped", "Healthcheck", "Shell", "StopTimeout")


def registry_bases(client: RegistryClient, overrides: Mapping[str, str] | None = None) -> ExternalBases:
    """Bases from registries, each asked for once; `overrides` says what to take instead of a FROM.

    Calling it raises a FieldError for a base that can't be used, a WorldError when a registry can't be asked.
    """
    return _RegistryBases(client, dict(overrides or {}))


class _RegistryBases:
    def __init__(self, client: RegistryClient, overrides: Mapping[str, str]) -> None:
        self._client = client
        self._overrides = {**{_canonical(ref): other for ref, other in overrides.items()}, **overrides}
        self._found: Once[tuple[str, Platform], Base] = Once()

    def __call__(self, ref: str, platform: Platform) -> Base:
        """What the image brings."""
        return self._found.get((ref, platform), lambda: self._ask(ref, platform))

    def _ask(self, ref: str, platform: Platform) -> Base:
        other = self._overrides.get(ref) or self._overrides.get(_canonical(ref), ref)
        try:
            where = self._client.locate(other)
        except ValueError as error:
            raise FieldError("an image reference", repr(other)) from error
        document = self._client.manifests.get(where)
        if document is None:
            hint = "push it there, or name another with --image-override"
            raise RegistryError(
                where.repository.registry, f"read {where}", "not found", status=404, hint=hint
            )
        try:
            return self._base(ref, where, document, platform)
        except FieldError:
            raise
        except (ValueError, RecursionError) as error:
            raise RegistryError(where.repository.registry, f"use {where}", f"malformed: {error}") from error

    def _base(self, ref: str, where: Reference, document: StoredDocument, platform: Platform) -> Base:
        if document.is_index:
            chosen = _choose(ref, document.parse(), platform)
            found = self._client.manifests.get(where.with_digest(chosen.digest))
            if found is None:
                raise ValueError(f"its index names {chosen.digest}, which isn't there")
            document = found
        manifest = document.parse()
        config = self._config(where, parse_descriptor(manifest.get("config")))
        if not fits(platform_of(config), platform):
            raise FieldError(f"an image for {platform}", f"{ref}, which is for {platform_of(config)}")
        layers = [parse_descriptor(layer) for layer in as_list(manifest.get("layers"))]
        diff_ids = [str(one) for one in as_list(as_object(config.get("rootfs")).get("diff_ids"))]
        if len(layers) != len(diff_ids):
            raise ValueError(f"{len(layers)} layers, {len(diff_ids)} diff ids")
        remote = tuple(
            RemoteLayer(evolve(layer, media_type=_oci_type(layer)), diff_id, where.repository)
            for layer, diff_id in zip(layers, diff_ids, strict=True)
        )
        return _with_facts(ref, platform, document.descriptor.digest, config, remote)

    def _config(self, where: Reference, blob: Descriptor) -> JsonObject:
        try:
            return as_object(json.loads(self._client.blobs.get(where.repository, blob.digest)))
        except RecursionError as error:
            raise ValueError("a configuration less deep expected") from error


def _canonical(ref: str) -> str:
    try:
        return str(parse_reference(ref))
    except ValueError:
        return ref


def _oci_type(layer: Descriptor) -> str:
    return _LAYER_TYPES.get(layer.media_type, layer.media_type)


def _choose(ref: str, index: JsonObject, platform: Platform) -> Descriptor:
    """The image for a platform."""
    images = {
        platform_of(as_object(as_object(item).get("platform") or {})): parse_descriptor(item)
        for item in reversed(as_list(index.get("manifests")))
    }
    chosen = best(images, platform)
    if chosen is None:
        known = ", ".join(sorted(str(one) for one in images if one.os != "unknown"))
        raise FieldError(f"an image for {platform}", f"{ref}, which is for {known or 'none'}")
    return images[chosen]


def _with_facts(
    ref: str, platform: Platform, digest: str, config: JsonObject, remote: tuple[RemoteLayer, ...]
) -> Base:
    running = as_object(config.get("config") or {})
    if running.get("OnBuild"):
        raise UnsupportedError("a base without ONBUILD", ref)
    inherited = _image_config(running)
    known = empty_base(ref, platform)
    history = tuple(as_object(one) for one in as_list(config.get("history") or []))
    return Base(
        name=ref,
        inputs=digest,
        config=inherited,
        remote=remote,
        history=history,
        tree=_known_tree(known.tree, inherited),
        # what the image doesn't set itself an engine would, and only the search path
        variables={} if "PATH" in inherited.env else {"PATH": known.variables["PATH"]},
        maybe_links=known.maybe_links,
        complete=False,
    )


def _image_config(running: JsonObject) -> ImageConfig:
    pairs = (str(one).partition("=") for one in as_list(running.get("Env") or []))
    return ImageConfig(
        env={name: value for name, _, value in pairs},
        labels={name: str(value) for name, value in as_object(running.get("Labels") or {}).items()},
        entrypoint=_words(running.get("Entrypoint")),
        cmd=_words(running.get("Cmd")),
        workdir=str(running.get("WorkingDir") or ""),
        user=str(running.get("User") or ""),
        stop_signal=str(running.get("StopSignal") or ""),
        ports=tuple(sorted(as_object(running.get("ExposedPorts") or {}))),
        volumes=tuple(sorted(as_object(running.get("Volumes") or {}))),
        more={name: running[name] for name in _INHERITED if running.get(name)},
    )


def _words(value: object) -> tuple[str, ...] | None:
    words = tuple(str(one) for one in as_list(value or []))
    return words or None


def _known_tree(common: ImageTree, config: ImageConfig) -> ImageTree:
    tree = common.copy()
    for path in (config.workdir, config.env.get("LAMBDA_TASK_ROOT", "")):
        inside = path.strip("/")
        for known in (*ancestors(inside), inside):
            if known and tree.get(known) is None:
                tree.put(directory(known))
    return tree
