"""Connections to registries, kept for the next request: TLS, proxies, plain HTTP where it is allowed."""

from __future__ import annotations

import socket
import ssl
from threading import Lock
from urllib.parse import urlsplit

import urllib3

from artifactctl.registry.config import UPLOADS, RegistryConfig
from artifactctl.registry.errors import RegistryError
from artifactctl.registry.origins import api_host, host_of, is_loopback, may_be_plain, proxy_for

_PROBE_TIMEOUT = 5.0
_HOSTS = 16


class Connections:
    """The connection pools of one client; any thread may use them."""

    def __init__(self, config: RegistryConfig) -> None:
        self._config = config
        self._guard = Lock()
        self._pools: dict[tuple[str, str | None], urllib3.PoolManager] = {}
        self._schemes: dict[str, str] = {}

    def close(self) -> None:
        """Close the connections nobody uses."""
        for pool in self._pools.values():
            pool.clear()

    def scheme(self, registry: str) -> str:
        """`http` where that is allowed; on loopback TLS comes first when a private authority is given."""
        with self._guard:
            if registry not in self._schemes:
                self._schemes[registry] = self._find_scheme(registry)
            return self._schemes[registry]

    def pool(self, url: str) -> urllib3.PoolManager:
        """The pool for requests to a URL.

        Raises:
            RegistryError: its proxy can't be used, or the file of the private authority can't be read.
        """
        proxy = proxy_for(url, self._config.environment)
        key = urlsplit(url).scheme, proxy
        with self._guard:
            if key not in self._pools:
                self._pools[key] = self._make(*key)
            return self._pools[key]

    def _make(self, scheme: str, proxy: str | None) -> urllib3.PoolManager:
        size = self._config.connections + UPLOADS
        # reading the system's authorities takes a while: not for plain HTTP
        context = self._tls() if scheme == "https" else None
        if proxy is None:
            return urllib3.PoolManager(num_pools=_HOSTS, maxsize=size, ssl_context=context)
        parts = urlsplit(proxy)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RegistryError(
                parts.hostname or "of every name", "use the proxy", f"{parts.scheme}:// isn't supported"
            )
        login = f"{parts.username}:{parts.password or ''}" if parts.username else None
        headers = urllib3.make_headers(proxy_basic_auth=login) if login else None
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return urllib3.ProxyManager(
            address, num_pools=_HOSTS, maxsize=size, proxy_headers=headers, ssl_context=context
        )

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        file = self._config.ca_file
        try:
            if file:
                context.load_verify_locations(cafile=file)
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise RegistryError("of every name", f"read the authorities in {file}", reason) from error
        return context

    def _find_scheme(self, registry: str) -> str:
        if not may_be_plain(registry, self._config.insecure):
            return "https"
        wants_tls = is_loopback(registry) and self._config.ca_file is not None
        return "https" if wants_tls and self._answers_tls(registry) else "http"

    def _answers_tls(self, registry: str) -> bool:
        parts = urlsplit(f"//{api_host(registry)}")
        address = host_of(registry), parts.port or 443
        try:
            with (
                socket.create_connection(address, _PROBE_TIMEOUT) as connection,
                _unverified().wrap_socket(connection, server_hostname=address[0]),
            ):
                return True
        except OSError:
            return False


def _unverified() -> ssl.SSLContext:
    """To find out whether TLS is spoken; nothing is sent, and the request itself looks at who it is.

    Without authorities: reading the system's takes longer than a hundred requests.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
