"""Requests and answers: time limits, redirects, and another try where that helps.

Knows nothing of who we are; a header with a secret never follows a redirect to another host.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urljoin, urlsplit

import urllib3
from attrs import evolve, field, frozen
from urllib3 import exceptions

from artifactctl.registry.backoff import Backoff, Sleep
from artifactctl.registry.config import RegistryConfig
from artifactctl.registry.connections import Connections
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.failures import BUSY, RefusedError, answer_error, connection_error, retry_after
from artifactctl.registry.origins import api_host, may_be_plain
from artifactctl.version import __version__

LARGEST_DOCUMENT = 4 << 20

_CONNECT_TIMEOUT = 10.0
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PIECE = 1 << 20
_DOWN_SECONDS = 5.0

Body = bytes | Callable[[], Iterator[bytes]]


@frozen
class Request:
    """What to ask of a registry; `what` completes "cannot …", a body that is a function can be sent again.

    Without `retry` a failure that may pass is the caller's: what an upload needs then only its state says.
    """

    registry: str
    what: str
    method: str
    url: str
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    body: Body = field(default=b"", repr=False)
    retry: bool = True


@frozen
class Answer:
    """A response that is small enough to have been read whole."""

    request: Request
    status: int
    headers: Mapping[str, str] = field(repr=False)
    data: bytes = field(default=b"", repr=False)

    def error(self, hint: str = "", *, transient: bool = False) -> RegistryError:
        """This answer as an error."""
        asked = self.request
        return answer_error(
            asked.registry, asked.what, self.status, self.data, hint=hint, transient=transient
        )


class Transport:
    """How one client sends; any thread may use it."""

    def __init__(self, config: RegistryConfig, *, sleep: Sleep = time.sleep) -> None:
        self._config = config
        self._sleep = sleep
        self._connections = Connections(config)
        self._down: dict[str, float] = {}

    def close(self) -> None:
        """Close the connections nobody uses."""
        self._connections.close()

    def backoff(self) -> Backoff:
        """The attempts that one operation has."""
        return Backoff(self._config.attempts, self._sleep)

    def base_url(self, registry: str) -> str:
        """The URL that everything in a registry starts with."""
        return f"{self._connections.scheme(registry)}://{api_host(registry)}"

    def send(self, request: Request) -> Answer:
        """The answer, whatever its status.

        Raises:
            RegistryError: there was none, or it stayed one of those that may pass.
        """
        attempts = self.backoff()
        while True:
            try:
                answer = self.read(request, self.open(request))
            except RegistryError as error:
                if not request.retry:
                    raise
                attempts.wait(error)
                continue
            if not request.retry or answer.status not in BUSY:
                return answer
            attempts.wait(answer.error(), retry_after(answer.headers))

    def open(self, request: Request) -> urllib3.BaseHTTPResponse:
        """An answer whose body the caller reads, redirects followed; asked for once.

        Raises:
            RegistryError: there was none.
        """
        for _ in range(_MOST_REDIRECTS):
            response = self._once(request)
            if response.status not in _REDIRECTS or request.method not in ("GET", "HEAD"):
                return response
            target = urljoin(request.url, response.headers.get("Location") or "")
            response.drain_conn()
            response.release_conn()
            request = self._redirected(request, target)
        raise RegistryError(request.registry, request.what, f"more than {_MOST_REDIRECTS} redirects")

    def pieces(self, request: Request, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """The body of an opened answer.

        Raises:
            RegistryError: it broke off.
        """
        try:
            yield from response.stream(_PIECE, decode_content=False)
        except (exceptions.HTTPError, OSError) as error:
            raise connection_error(request.registry, request.what, error) from error
        finally:
            response.close()
            response.release_conn()

    def read(self, request: Request, response: urllib3.BaseHTTPResponse) -> Answer:
        """An opened answer, read whole.

        Raises:
            RegistryError: it broke off, or is larger than any document of a registry.
        """
        try:
            data = response.read(LARGEST_DOCUMENT + 1, decode_content=False)
        except (exceptions.HTTPError, OSError) as error:
            raise connection_error(request.registry, request.what, error) from error
        if len(data) > LARGEST_DOCUMENT:
            response.close()
            raise RegistryError(request.registry, request.what, f"more than {LARGEST_DOCUMENT} bytes came")
        response.release_conn()
        return Answer(request, response.status, response.headers, data)

    def _redirected(self, request: Request, target: str) -> Request:
        before, after = urlsplit(request.url), urlsplit(target)
        is_plain = after.scheme == "http" and may_be_plain(after.netloc, self._config.insecure)
        if after.scheme != "https" and not is_plain:
            reason = f"it redirects to {after.scheme}://{after.hostname}"
            raise RegistryError(request.registry, request.what, reason)
        is_same = (before.scheme, before.netloc) == (after.scheme, after.netloc)
        kept = {name: value for name, value in request.headers.items() if is_same or name != "Authorization"}
        return evolve(request, url=target, headers=kept)

    def _once(self, request: Request) -> urllib3.BaseHTTPResponse:
        pool = self._connections.pool(request.url)
        body = request.body if isinstance(request.body, bytes) else request.body()
        host = urlsplit(request.url).netloc
        try:
            response = pool.request(
                request.method,
                request.url,
                body=body or None,
                headers={"User-Agent": f"artifactctl/{__version__}", **request.headers},
                timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=self._config.timeout),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        except (exceptions.HTTPError, OSError) as error:
            raise self._noted(host, connection_error(request.registry, request.what, error)) from error
        self._down.pop(host, None)
        return response

    def _noted(self, host: str, error: RegistryError) -> RegistryError:
        """The error; of a host that has refused for a while not one that is worth another try."""
        if isinstance(error, RefusedError):
            now = time.monotonic()
            error.transient = now - self._down.setdefault(host, now) < _DOWN_SECONDS
        return error
