"""The target `docker`: images go straight into the container engine of this host, without a registry.

An assembled image is loaded as an archive without the layers of its base, which the engine has or pulls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

from artifact_contract.errors import FieldError
from attrs import define, field

from artifactctl.errors import DiskError
from artifactctl.images.archive import LayerFile, archive_chunks, loadable, measure
from artifactctl.images.bases import empty_base
from artifactctl.images.buildx import Buildx
from artifactctl.images.docker_cli import DockerCli, EngineError, EngineImage
from artifactctl.images.layers import MEDIA_TYPE, Layer
from artifactctl.images.oci import INPUTS
from artifactctl.images.recipe import Base, ImageConfig, Platform, Recipe, RemoteLayer
from artifactctl.images.target import StoredImage
from artifactctl.images.work import Build
from artifactctl.registry.descriptors import Descriptor, JsonObject
from artifactctl.registry.references import Repository

_INHERITED = ("ArgsEscaped", "Healthcheck", "Shell", "StopTimeout")
_NOWHERE = Repository("", "")


@define(eq=False)
class EngineTarget:
    """A `Destination`, and the images from elsewhere that are in the engine."""

    docker: DockerCli
    buildx: Buildx
    overrides: Mapping[str, str]
    trust: bool = True
    _bases: dict[tuple[str, Platform], EngineImage] = field(factory=dict, init=False)
    _measured: dict[str, LayerFile] = field(factory=dict, init=False)
    _guard: Lock = field(factory=Lock, init=False)

    def external(self, ref: str, platform: Platform) -> Base:
        """What an image from elsewhere brings along; it is pulled when the engine doesn't have it.

        Raises:
            EngineError: it can't be had.
            FieldError: it is for another platform.
        """
        image = self._base(self.name_of(ref), platform)
        return _base_of(ref, image, platform)

    def find(self, ref: str) -> StoredImage | None:
        """The image with this reference in the engine."""
        found = self.docker.find(ref) if self.trust else None
        return _stored(found) if found else None

    def put(self, ref: str, recipes: Sequence[Recipe]) -> StoredImage:
        """Assemble an image and load it."""
        recipe = recipes[0]
        if recipe.base.remote and not self.docker.has_layer_store:
            raise EngineError(
                "docker: expected an image store that keeps layers, found containerd's; use --builder buildx"
            )
        try:
            image = loadable(ref, recipe, [self._measure(layer) for layer in recipe.layers])
            self.docker.load(archive_chunks(image))
        except OSError as error:
            raise DiskError(Path(error.filename or ref), "make the image", error) from error
        return StoredImage(image.id, sum(layer.size for layer in image.layers), recipe.inputs)

    def build(self, ref: str, build: Build, images: Mapping[str, str]) -> StoredImage:
        """Build an image into the engine."""
        self.buildx.build(build, ref, images, push=False, cache=self.trust)
        return self._loaded(ref)

    def copy(self, source: str, ref: str, platforms: Sequence[Platform]) -> StoredImage:
        """Pull an image and give it the name it has in the artifact."""
        name = self.name_of(source)
        self._base(name, platforms[0])
        self.docker.tag(name, ref)
        return self._loaded(ref)

    def name_of(self, ref: str) -> str:
        """What is taken instead of an image from elsewhere."""
        return self.overrides.get(ref, ref)

    def name_of_stored(self, ref: str, stored: StoredImage) -> str:
        """The reference: the engine has no other name for it that a build understands."""
        return ref

    def commit(self) -> None:
        """Nothing: every image is there when it is loaded."""

    def _base(self, ref: str, platform: Platform) -> EngineImage:
        with self._guard:
            known = self._bases.get((ref, platform))
            if known is None:
                known = self._bases[ref, platform] = self._pulled(ref, platform)
        return known

    def _pulled(self, ref: str, platform: Platform) -> EngineImage:
        found = self.docker.find(ref)
        if found is None or found.platform.architecture != platform.architecture:
            self.docker.pull(ref, platform)
            found = self.docker.find(ref)
        if found is None or found.platform.architecture != platform.architecture:
            raise FieldError(f"{ref} for {platform}", str(found.platform) if found else "nothing")
        return found

    def _loaded(self, ref: str) -> StoredImage:
        found = self.docker.find(ref)
        if found is None:
            raise EngineError(
                f"docker: expected {ref} in the engine, found nothing; was it removed meanwhile?"
            )
        return _stored(found)

    def _measure(self, layer: Layer) -> LayerFile:
        known = self._measured.get(layer.key)
        if known is None:
            known = self._measured[layer.key] = measure(layer)
        return known


def _stored(image: EngineImage) -> StoredImage:
    return StoredImage(image.id, image.size, image.labels.get(INPUTS, ""))


def _base_of(ref: str, image: EngineImage, platform: Platform) -> Base:
    known = empty_base(ref, platform)
    remote = (RemoteLayer(Descriptor(MEDIA_TYPE, digest, 0), digest, _NOWHERE) for digest in image.diff_ids)
    config = _image_config(image.config)
    return Base(
        name=ref,
        inputs=image.id,
        config=config,
        remote=tuple(remote),
        history=tuple({"created_by": ref} for _ in image.diff_ids),
        tree=known.tree,
        variables={} if "PATH" in config.env else {"PATH": known.variables["PATH"]},
        maybe_links=known.maybe_links,
        complete=False,
    )


def _image_config(config: JsonObject) -> ImageConfig:
    def strings(name: str) -> tuple[str, ...] | None:
        found = config.get(name)
        return tuple(map(str, found)) if isinstance(found, list) else None

    def names(name: str) -> tuple[str, ...]:
        found = config.get(name)
        return tuple(sorted(map(str, found))) if isinstance(found, dict) else ()

    labels = config.get("Labels")
    pairs = (text.partition("=") for text in strings("Env") or ())
    return ImageConfig(
        env={name: value for name, _, value in pairs},
        labels={str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {},
        entrypoint=strings("Entrypoint"),
        cmd=strings("Cmd"),
        workdir=str(config.get("WorkingDir") or ""),
        user=str(config.get("User") or ""),
        stop_signal=str(config.get("StopSignal") or ""),
        ports=names("ExposedPorts"),
        volumes=names("Volumes"),
        more={name: config[name] for name in _INHERITED if config.get(name)},
    )
