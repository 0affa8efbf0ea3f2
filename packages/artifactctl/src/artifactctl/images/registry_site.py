"""The site of `--target registry`.

Assembled images go out over the registry API; the others an engine builds, which pushes them itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, frozen

from artifactctl.errors import DiskError, WorldError
from artifactctl.images.api import PrepareImagesRequest
from artifactctl.images.bases import ExternalBases
from artifactctl.images.buildx import Buildx
from artifactctl.images.docker_cli import DockerCli
from artifactctl.images.making import Destination
from artifactctl.images.planning import Method
from artifactctl.images.recipe import Platform, Recipe
from artifactctl.images.registry_bases import registry_bases
from artifactctl.images.registry_target import RegistryTarget, open_registry
from artifactctl.images.settling import settle
from artifactctl.images.sites import OnPush
from artifactctl.images.target import StoredImage
from artifactctl.images.work import Build
from artifactctl.lock import OnWait


@frozen
class RegistrySite:
    """The registry that the references of an artifact name."""

    method: Method
    external: ExternalBases
    destination: RegistryDestination
    imports: bool = True

    @contextmanager
    def opened(self, on_wait: OnWait) -> Iterator[Destination]:
        """The registry; nobody waits for it."""
        yield self.destination


@contextmanager
def open_registry_site(
    request: PrepareImagesRequest, method: Method, overrides: Mapping[str, str], on_push: OnPush
) -> Iterator[RegistrySite]:
    """The registry during one run; nothing is asked of it before it is needed."""
    docker = DockerCli(request.registry.environment)
    with open_registry(request.registry, notify=lambda ref, _: on_push(ref)) as target:
        destination = RegistryDestination(target, Buildx(docker), overrides, not request.rebuild)
        yield RegistrySite(method, registry_bases(target.client, overrides), destination)


@define(eq=False)
class RegistryDestination:
    """A registry as a `Destination`."""

    target: RegistryTarget
    buildx: Buildx
    overrides: Mapping[str, str]
    trust: bool = True

    def find(self, ref: str) -> StoredImage | None:
        """The image with this reference in the registry."""
        return self.target.find(ref) if self.trust else None

    def put(self, ref: str, recipes: Sequence[Recipe]) -> StoredImage:
        """Assemble and push."""
        return self.target.put_platforms(ref, recipes)

    def build(self, ref: str, build: Build, images: Mapping[str, str]) -> StoredImage:
        """Build in an engine, which pushes."""
        name = self.target.host_ref(ref)
        self.buildx.build(build, name, images, push=True, cache=self.trust)
        if self.buildx.is_embedded:
            self._settle(name, build)
        stored = self.target.find(ref)
        if stored is None or stored.inputs != build.inputs:
            raise WorldError(f"{ref}: expected the image that was pushed, found another or none")
        return stored

    def _settle(self, name: str, build: Build) -> None:
        try:
            settle(self.target.client, self.target.client.locate_own(name), build.inputs)
            # what the engine has under this name isn't what the registry has now
            self.buildx.docker.untag(name)
        except OSError as error:
            raise DiskError(Path(error.filename or name), "keep its layers", error) from error

    def copy(self, source: str, ref: str, platforms: Sequence[Platform]) -> StoredImage:
        """Copy from one registry to another, or within one."""
        return self.target.copy(self.overrides.get(source, source), ref, platforms)

    def name_of(self, ref: str) -> str:
        """An override, else the reference as this host reaches it."""
        return self.overrides.get(ref) or self.target.source_ref(ref)

    def name_of_stored(self, ref: str, stored: StoredImage) -> str:
        """The image by its digest: a moving tag can't exchange it between two steps of a run."""
        name = self.target.host_ref(ref)
        repository = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
        return f"{repository}@{stored.digest}"

    def commit(self) -> None:
        """Nothing: every image is visible when it is pushed."""
        self.target.commit()
