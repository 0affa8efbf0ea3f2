"""The site of `--target oci-layout:DIR`: nothing from elsewhere is at hand, and no engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import define, frozen

from artifactctl.errors import WorldError
from artifactctl.images.api import PrepareImagesRequest
from artifactctl.images.bases import ExternalBases, empty_base
from artifactctl.images.making import Destination
from artifactctl.images.oci_layout import OciLayout, open_layout
from artifactctl.images.planning import Method
from artifactctl.images.recipe import Platform, Recipe
from artifactctl.images.target import StoredImage
from artifactctl.images.work import Build
from artifactctl.lock import OnWait, current_holder


@frozen
class LayoutSite:
    """`oci-layout:DIR`: nothing from elsewhere is at hand, and no engine."""

    request: PrepareImagesRequest
    directory: Path
    method: Method
    external: ExternalBases = empty_base
    imports: bool = False

    @contextmanager
    def opened(self, on_wait: OnWait) -> Iterator[Destination]:
        """The layout, locked."""
        with open_layout(
            self.directory,
            holder=current_holder(self.request.command, self.request.now),
            lock_timeout=self.request.lock_timeout,
            on_wait=on_wait,
            trust=not self.request.rebuild,
        ) as layout:
            yield _Layout(layout)


@define(eq=False)
class _Layout:
    """An OCI layout as a `Destination`. Planning leaves out what it cannot make, before it is opened."""

    layout: OciLayout

    def find(self, ref: str) -> StoredImage | None:
        return self.layout.find(ref)

    def put(self, ref: str, recipes: Sequence[Recipe]) -> StoredImage:
        return self.layout.put(ref, recipes[0])

    def build(self, ref: str, build: Build, images: Mapping[str, str]) -> StoredImage:
        raise WorldError(f"{ref}: a layout has no engine to build it with; take another --target")

    def copy(self, source: str, ref: str, platforms: Sequence[Platform]) -> StoredImage:
        raise WorldError(f"{source}: a layout has no registry to bring it from; take another --target")

    def name_of(self, ref: str) -> str:
        return ref

    def name_of_stored(self, ref: str, stored: StoredImage) -> str:
        return ref

    def commit(self) -> None:
        self.layout.commit()
