"""Requests about one repository, with what shows who we are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import urllib3
from attrs import evolve

from artifactctl.registry.auth import Authorizer, Scope
from artifactctl.registry.backoff import Backoff, Sleep
from artifactctl.registry.config import RegistryConfig
from artifactctl.registry.references import Repository
from artifactctl.registry.transport import Answer, Request, Transport


class Session:
    """One client's way to all registries; any thread may use it."""

    def __init__(self, config: RegistryConfig, *, sleep: Sleep = time.sleep) -> None:
        self._transport = Transport(config, sleep=sleep)
        self._authorizer = Authorizer(config, self._transport)

    def close(self) -> None:
        """Close the connections nobody uses."""
        self._transport.close()

    def backoff(self) -> Backoff:
        """The attempts that one operation has."""
        return self._transport.backoff()

    def url(self, repository: Repository, path: str) -> str:
        """The URL of something in a repository."""
        return f"{self._transport.base_url(repository.registry)}/v2/{repository.name}/{path}"

    def send(self, request: Request, scope: Scope) -> Answer:
        """The answer, whatever its status; 401 only when logging in didn't help.

        Raises:
            RegistryError: there was none.
        """
        sent = self._headers(request, scope)
        answer = self._transport.send(_with(request, sent))
        if answer.status != 401 or not self._is_own(request):
            return answer
        if not self._authorizer.refused(request.registry, scope, answer, sent):
            return answer
        return self._transport.send(_with(request, self._headers(request, scope)))

    def open(self, request: Request, scope: Scope) -> urllib3.BaseHTTPResponse:
        """As `send`, with the body left to the caller; asked for once."""
        sent = self._headers(request, scope)
        response = self._transport.open(_with(request, sent))
        if response.status != 401:
            return response
        answer = self._transport.read(request, response)
        if not self._authorizer.refused(request.registry, scope, answer, sent):
            raise answer.error()
        return self._transport.open(_with(request, self._headers(request, scope)))

    def read(self, request: Request, response: urllib3.BaseHTTPResponse) -> Answer:
        """An opened answer, read whole."""
        return self._transport.read(request, response)

    def pieces(self, request: Request, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """The body of an opened answer, piece by piece."""
        return self._transport.pieces(request, response)

    def _headers(self, request: Request, scope: Scope) -> Mapping[str, str]:
        return self._authorizer.headers(request.registry, scope) if self._is_own(request) else {}

    def _is_own(self, request: Request) -> bool:
        """Whether the request goes to the registry itself: uploads may have been sent elsewhere."""
        parts = urlsplit(request.url)
        return f"{parts.scheme}://{parts.netloc}" == self._transport.base_url(request.registry)


def _with(request: Request, headers: Mapping[str, str]) -> Request:
    return evolve(request, headers={**request.headers, **headers}) if headers else request
