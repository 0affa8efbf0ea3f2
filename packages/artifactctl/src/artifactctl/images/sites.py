"""The targets of a run: what each can do, the images from elsewhere it knows, and how it is opened.

request.target ─site_for▶ Site ─(plan with its `method` and `external`)─ opened▶ Destination
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from artifact_contract.models import Mode
from attrs import evolve

from artifactctl.errors import RequestError
from artifactctl.images.api import (
    Builder,
    ImageTarget,
    LayoutTarget,
    LocalEngine,
    PrepareImagesRequest,
    SiteRegistry,
)
from artifactctl.images.bases import ExternalBases
from artifactctl.images.making import Destination
from artifactctl.images.planning import Method
from artifactctl.lock import OnWait

# a reference whose bytes begin to go out
OnPush = Callable[[str], None]


class Site(Protocol):
    """A target, before anything is written to it."""

    @property
    def method(self) -> Method:
        """How images are made for it."""

    @property
    def external(self) -> ExternalBases:
        """What images from elsewhere bring along."""

    @property
    def imports(self) -> bool:
        """Whether images can be copied to it."""

    def opened(self, on_wait: OnWait) -> AbstractContextManager[Destination]:
        """The target during one run."""


def target_for(request: PrepareImagesRequest, mode: Mode) -> ImageTarget:
    """Where images go when nobody says so: where the mode's runtime takes them from.

    Raises:
        RequestError: nobody can know the directory that mode `process` takes them from.
    """
    if request.target is not None:
        return request.target
    if mode is Mode.PROCESS:
        raise RequestError("--target: expected oci-layout:DIR for an artifact of mode process, found none")
    return SiteRegistry()


@contextmanager
def open_site(
    request: PrepareImagesRequest, target: ImageTarget, overrides: Mapping[str, str], on_push: OnPush
) -> Iterator[Site]:
    """The site of a request; `overrides` are those of the request and of what is imported.

    Raises:
        RequestError: what is asked for isn't possible there.
    """
    _check(request, target)
    method = Method(request.builder, request.platforms, engine=True, single=False)
    if isinstance(target, LayoutTarget):
        from artifactctl.images.layout_site import LayoutSite  # noqa: PLC0415 - brings what others don't need

        yield LayoutSite(request, target.directory, evolve(method, engine=False, single=True))
    elif isinstance(target, LocalEngine):
        from artifactctl.images.engine_site import EngineSite  # noqa: PLC0415 - as above

        yield EngineSite.of(request, evolve(method, single=True), overrides)
    else:
        from artifactctl.images.registry_site import open_registry_site  # noqa: PLC0415 - as above

        with open_registry_site(request, method, overrides, on_push) as site:
            yield site


def _check(request: PrepareImagesRequest, target: ImageTarget) -> None:
    if not isinstance(target, SiteRegistry) and len(request.platforms) > 1:
        raise RequestError(f"--platform: expected one platform for --target {target}, found several")
    if isinstance(target, LayoutTarget) and request.builder is Builder.BUILDX:
        raise RequestError("--builder buildx: expected --target registry or docker, found an OCI layout")
    if isinstance(target, LayoutTarget) and request.overrides:
        raise RequestError(
            "--image-override: expected --target registry or docker, found an OCI layout, where images from"
            " elsewhere are empty"
        )
