"""The site of `--target docker`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from attrs import frozen

from artifactctl.images.api import PrepareImagesRequest
from artifactctl.images.bases import ExternalBases
from artifactctl.images.buildx import Buildx
from artifactctl.images.docker_cli import DockerCli
from artifactctl.images.engine_target import EngineTarget
from artifactctl.images.making import Destination
from artifactctl.images.planning import Method
from artifactctl.lock import OnWait


@frozen
class EngineSite:
    """The container engine of this host."""

    method: Method
    target: EngineTarget
    external: ExternalBases
    imports: bool = True

    @classmethod
    def of(cls, request: PrepareImagesRequest, method: Method, overrides: Mapping[str, str]) -> EngineSite:
        """The site; nothing is asked of the engine yet."""
        docker = DockerCli(request.registry.environment)
        target = EngineTarget(docker, Buildx(docker), overrides, trust=not request.rebuild)
        return cls(method, target, target.external)

    @contextmanager
    def opened(self, on_wait: OnWait) -> Iterator[Destination]:
        """The engine, once it has answered.

        Raises:
            EngineError: it doesn't.
        """
        self.target.docker.require_engine()
        yield self.target
