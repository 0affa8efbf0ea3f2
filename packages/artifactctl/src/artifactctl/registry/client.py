"""The client: blobs and manifests of all registries, and what the artifact's references mean on this host."""

from __future__ import annotations

import time

from artifactctl.errors import RequestError
from artifactctl.registry.backoff import Sleep
from artifactctl.registry.blobs import Blobs
from artifactctl.registry.config import RegistryConfig
from artifactctl.registry.manifests import Manifests
from artifactctl.registry.references import (
    DOCKER_HUB,
    Reference,
    has_registry,
    parse_reference,
    parse_registry,
)
from artifactctl.registry.session import Session


class RegistryClient:
    """Thread-safe; makes no connection before it is asked something."""

    def __init__(self, config: RegistryConfig, *, sleep: Sleep = time.sleep) -> None:
        self._session = Session(config, sleep=sleep)
        self._container = _registry(config.container_registry)
        self._host = _registry(config.host_registry) or self._container
        self.blobs = Blobs(self._session, config.chunk_size)
        self.manifests = Manifests(self._session)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def locate(self, text: str) -> Reference:
        """An image somebody refers to, where this host reaches it (contract §13); Docker Hub's by default.

        Raises:
            ValueError: it isn't a reference.
        """
        return self._renamed(parse_reference(text))

    def locate_own(self, text: str) -> Reference:
        """An image of the artifact; one that names no registry belongs to the one that is configured.

        Raises:
            ValueError: it isn't a reference, or there is no registry for it.
        """
        if not has_registry(text) and not self._host:
            raise ValueError(
                f"a reference with a registry expected, {text!r} found (or set CONTAINER_REGISTRY)"
            )
        return self._renamed(parse_reference(text, default_registry=self._host or DOCKER_HUB))

    def _renamed(self, found: Reference) -> Reference:
        is_ours = self._container and found.repository.registry == self._container
        return found.at(self._host) if is_ours else found


def open_client(config: RegistryConfig) -> RegistryClient:
    """A client.

    Raises:
        RequestError: the name of a registry isn't one.
    """
    return RegistryClient(config)


def _registry(text: str) -> str:
    try:
        return parse_registry(text) if text else ""
    except ValueError as error:
        raise RequestError(str(error)) from error
