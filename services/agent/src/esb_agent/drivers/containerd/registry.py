"""A registry, as the distribution specification has it: manifests and blobs, for whom it knows us as.

What it wants for credentials it says in its first answer (401): Basic, or a token from a server it names.
"""

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from attrs import define, field

from esb_agent.drivers.containerd.image_settings import ImageSettings
from esb_agent.drivers.containerd.manifests import INDEXES, MANIFESTS, checked, digest_of, media_type_of
from esb_agent.drivers.containerd.references import Reference
from esb_agent.errors import AgentError, DriverError, ImageBrokenError, ImageNotFoundError

CONNECT_SECONDS = 10.0
# A registry that says nothing for so long has gone away.
SILENCE_SECONDS = 60.0
PIECE = 1024 * 1024
MAX_DOCUMENT = 4 * 1024 * 1024
ACCEPT = ", ".join((*INDEXES, *MANIFESTS))
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_REFUSED = (401, 403)


@define
class Registry:
    """One image's registry, for the time of a pull. Methods raise what `_failing` says."""

    reference: Reference
    settings: ImageSettings
    credentials: Mapping[str, str] | None = None
    _session: aiohttp.ClientSession = field(init=False)
    _authorization: str = field(init=False, default="")
    _asking: asyncio.Lock = field(init=False, factory=asyncio.Lock)

    async def __aenter__(self) -> "Registry":
        context = ssl.create_default_context()
        if self.settings.ca:
            try:
                await asyncio.to_thread(context.load_verify_locations, cafile=self.settings.ca)
            except (OSError, ssl.SSLError) as error:
                raise DriverError(
                    f"ESB_REGISTRY_CA: {self.settings.ca}: expected PEM, found {error}"
                ) from error
        waits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        self._session = aiohttp.ClientSession(
            timeout=waits, connector=aiohttp.TCPConnector(ssl=context), auto_decompress=False
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @property
    def plain(self) -> bool:
        """Without TLS: on this host, or where it was said by name."""
        return self.reference.loopback or self.reference.registry in self.settings.insecure

    async def manifest(self, version: str) -> tuple[bytes, str, str]:
        """A manifest or an index by tag or digest: its bytes, media type and digest, which were compared.

        Raises ImageNotFoundError: there is none, or none for who asks.
        """
        async with self._get(f"manifests/{version}", ACCEPT) as answer:
            data = await answer.content.read(MAX_DOCUMENT + 1)
            while not answer.content.at_eof() and len(data) <= MAX_DOCUMENT:
                data += await answer.content.read(MAX_DOCUMENT)
            told = answer.headers.get("Docker-Content-Digest", "")
            kind = answer.content_type
        if len(data) > MAX_DOCUMENT:
            raise ImageBrokenError(f"{self.reference.name}: its manifest is larger than {MAX_DOCUMENT} bytes")
        digest = version if version.startswith("sha256:") else told
        what = f"{self.reference.name}: manifest"
        if digest:
            checked(data, digest, what)
        return data, media_type_of(data, kind, what), digest or digest_of(data)

    async def blob(self, digest: str) -> AsyncIterator[bytes]:
        """A blob in pieces; not checked here. Raises ImageBrokenError: the registry has it not."""
        async with self._get(f"blobs/{digest}") as answer:
            async for piece in answer.content.iter_chunked(PIECE):
                yield piece

    @asynccontextmanager
    async def _get(self, path: str, accept: str = "*/*") -> AsyncIterator[aiohttp.ClientResponse]:
        scheme = "http" if self.plain else "https"
        url = f"{scheme}://{self.reference.host}/v2/{self.reference.repository}/{path}"
        with _failing(self, path):
            for last in (False, True):
                sent = self._authorization
                headers = {"Accept": accept} | ({"Authorization": sent} if sent else {})
                async with self._session.get(url, headers=headers) as answer:
                    if answer.status == 401 and not last:
                        await self._log_in(answer.headers.getall("WWW-Authenticate", []), sent)
                        continue
                    if answer.status != 200:
                        raise self._refusal(path, answer.status, await answer.content.read(2000))
                    yield answer
                    return

    def _refusal(self, path: str, status: int, body: bytes) -> AgentError:
        what = f"{self.reference.name}: cannot be pulled: {self.reference.registry} answers {status}"
        words = body.decode(errors="replace").strip()[:300]
        if status in _REFUSED:
            hint = "has ESB_DOCKER_CONFIG the registry's credentials?"
            return ImageNotFoundError(f"{what}: no such image for who asks ({hint}): {words}")
        if status == 404:
            kind = ImageBrokenError if path.startswith("blobs/") else ImageNotFoundError
            return kind(f"{what} for {path}: {words}")
        return DriverError(f"{what} for {path}: {words}")

    async def _log_in(self, challenges: list[str], sent: str) -> None:
        """Be who we are, in the way it wants; for all requests that wait for it."""
        async with self._asking:
            if self._authorization != sent:
                return
            for challenge in challenges:
                scheme, _, rest = challenge.partition(" ")
                if scheme.lower() == "bearer":
                    told = dict(_PARAMETER.findall(rest))
                    self._authorization = f"Bearer {await self._token(told)}"
                    return
                if scheme.lower() == "basic" and (basic := self._basic()):
                    self._authorization = basic
                    return

    def _basic(self) -> str:
        known = self.credentials or {}
        if "username" not in known:
            return ""
        pair = f"{known['username']}:{known['password']}"
        return f"Basic {b64encode(pair.encode()).decode()}"

    async def _token(self, told: Mapping[str, str]) -> str:
        realm = told.get("realm", "")
        if not realm.startswith(("https://", "http://")) or (realm.startswith("http:") and not self.plain):
            # Credentials are for nobody on the way.
            raise DriverError(f"{self.reference.registry}: its token server {realm!r} is not asked: no TLS")
        scope = told.get("scope") or f"repository:{self.reference.repository}:pull"
        asked = {"service": told.get("service", ""), "scope": scope}
        if refresh := (self.credentials or {}).get("identitytoken"):
            form = asked | {"grant_type": "refresh_token", "refresh_token": refresh, "client_id": "esb-agent"}
            request = self._session.post(realm, data=form)
        else:
            basic = self._basic()
            request = self._session.get(
                realm, params=asked, headers={"Authorization": basic} if basic else {}
            )
        async with request as answer:
            if answer.status != 200:
                raise self._refusal("token", answer.status, await answer.content.read(2000))
            found: Any = await answer.json(content_type=None)
        if not isinstance(found, dict):
            raise DriverError(f"{self.reference.registry}: its token server {realm!r} gave no JSON object")
        return str(found.get("token") or found.get("access_token") or "")


class _failing:  # noqa: N801 - used as a `with` word, like contextlib's
    """The network's errors as ours, with a hint at what may be set wrong."""

    def __init__(self, registry: Registry, path: str) -> None:
        self._registry, self._path = registry, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, (aiohttp.ClientError, TimeoutError, OSError, ValueError)):
            name = self._registry.reference
            words = f"{name.name}: cannot be pulled: {name.registry}: {error or type(error).__name__}"
            raise DriverError(f"{words}{self._hint(error)}") from error

    def _hint(self, error: BaseException) -> str:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return " (is its authority in ESB_REGISTRY_CA?)"
        if isinstance(error, (aiohttp.ClientConnectorSSLError, ssl.SSLError)):
            return " (without TLS? Then name it in ESB_INSECURE_REGISTRIES)"
        return ""
