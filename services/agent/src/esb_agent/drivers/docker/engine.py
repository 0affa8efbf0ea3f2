"""The Docker Engine API in the driver's words: the only module that knows aiodocker.

aiodocker's own container objects are not used: each of their calls knows less than one request can ask for
(one-shot measures, output with its stream's name).
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
from aiodocker import Docker
from aiodocker.exceptions import DockerError
from attrs import frozen

from esb_agent.drivers.docker.answers import filters, parse_version, split_frames, text, to_found
from esb_agent.drivers.docker.container import Found
from esb_agent.errors import DriverError

# What is asked for exists since the one; nothing after the other was tried.
OLDEST_API, NEWEST_API = (1, 41), (1, 51)
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
# A start waits for the ones before it.
START_SECONDS = 60.0
UNREACHED = 900  # aiodocker's
UNIX = "unix://"
ENDS = ("die", "oom", "destroy")


class EngineError(DriverError):
    """The engine said no; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"Docker Engine: {message}")
        self.status = status


class EngineUnreachedError(DriverError):
    """Nobody answers there."""


@frozen(kw_only=True)
class About:
    """An engine: its version, the API that is spoken with it, its CPUs."""

    version: str
    api: str
    cpus: int


@frozen(kw_only=True)
class Event:
    """Something happened to a container."""

    container_id: str
    action: str
    attributes: Mapping[str, str]


class Engine:
    """One engine. All methods raise EngineError and EngineUnreachedError."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.about = About(version="", api="", cpus=1)

    async def connect(self) -> None:
        """Open it, and agree on a version of the API: the newest both know.

        Raises:
            EngineError: too old, or too new.
        """
        # No limit of connections: each worker's output is one that stays.
        connector: aiohttp.BaseConnector = aiohttp.TCPConnector(limit=0)
        url = self.host
        if url.startswith(UNIX):
            connector = aiohttp.UnixConnector(url.removeprefix(UNIX), limit=0)
            url = f"{UNIX}localhost"
        waits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        self._session = aiohttp.ClientSession(connector=connector, timeout=waits, trust_env=False)
        self._docker = Docker(
            url=url, session=self._session, connector=connector, api_version=text(OLDEST_API)
        )
        async with self._asking():
            version = await self._docker._query_json("version", versioned_api=False)
        newest, oldest = (
            parse_version(version["ApiVersion"]),
            parse_version(version.get("MinAPIVersion", "1.0")),
        )
        if newest < OLDEST_API or oldest > NEWEST_API:
            raise EngineError(
                0,
                f"{version.get('Version', '?')} speaks API {version.get('MinAPIVersion', '?')} to "
                f"{version['ApiVersion']}, expected one of {text(OLDEST_API)} to {text(NEWEST_API)}",
            )
        api = text(min(newest, NEWEST_API))
        self._docker.api_version = api
        info = await self._json("info")
        self.about = About(version=version.get("Version", ""), api=api, cpus=info["NCPU"])

    @asynccontextmanager
    async def _asking(self, seconds: float | None = ANSWER_SECONDS) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds):
                yield
        except DockerError as error:
            if error.status == UNREACHED:
                raise EngineUnreachedError(
                    f"{self.host}: no Docker Engine answers: {error.message}"
                ) from error
            raise EngineError(error.status, error.message) from error
        except TimeoutError as error:
            raise EngineUnreachedError(f"{self.host}: the Docker Engine did not answer in time") from error
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise EngineUnreachedError(f"{self.host}: the Docker Engine hung up: {error}") from error

    async def _json(
        self,
        path: str,
        method: str = "GET",
        *,
        params: Mapping[str, str] | None = None,
        data: object = None,
        seconds: float | None = ANSWER_SECONDS,
    ) -> Any:
        """The one request function of aiodocker is private; its public ones all go through it."""
        async with self._asking(seconds):
            return await self._docker._query_json(path, method, params=params, data=data)

    async def create(self, name: str, request: Mapping[str, object]) -> str:
        """Make a container; returns its id. 404: no such image, 409: the name is taken."""
        made = await self._json("containers/create", "POST", params={"name": name}, data=dict(request))
        return str(made["Id"])

    async def start(self, container_id: str) -> None:
        """Start it."""
        await self._json(f"containers/{container_id}/start", "POST", seconds=START_SECONDS)

    async def inspect(self, container_id: str) -> Found:
        """One container, by id or name."""
        return to_found(await self._json(f"containers/{container_id}/json"))

    async def list_ids(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Ids of all containers with these labels, whatever their state."""
        params = {"all": "1", "filters": filters(labels)}
        return tuple(item["Id"] for item in await self._json("containers/json", params=params))

    async def pause(self, container_id: str) -> None:
        """Freeze it. 409: it is frozen already, or does not run."""
        await self._json(f"containers/{container_id}/pause", "POST")

    async def unpause(self, container_id: str) -> None:
        """Let it run. 409 or 500: it is not frozen."""
        await self._json(f"containers/{container_id}/unpause", "POST")

    async def limit_cpus(self, container_id: str, nano_cpus: int) -> None:
        """Change what it may use."""
        await self._json(f"containers/{container_id}/update", "POST", data={"NanoCpus": nano_cpus})

    async def remove(self, container: str) -> None:
        """Kill and remove it, with its anonymous volumes; by id or name. 404, 409: gone, or going."""
        await self._json(f"containers/{container}", "DELETE", params={"force": "1", "v": "1"})

    async def stats(self, container_id: str) -> Mapping[str, Any]:
        """What it uses now, as the engine words it."""
        params = {"stream": "0", "one-shot": "1"}
        measured: Mapping[str, Any] = await self._json(f"containers/{container_id}/stats", params=params)
        return measured

    async def image_user(self, ref: str) -> str:
        """The user an image names, "" for none. 404: the engine has no such image."""
        image = await self._json(f"images/{quote(ref, safe='/:@')}/json")
        return str(image["Config"].get("User") or "")

    async def pull(self, ref: str, auth: Mapping[str, str] | None) -> None:
        """Bring an image from its registry; takes as long as it takes."""
        async with self._asking(None):
            await self._docker.images.pull(ref, auth=dict(auth) if auth else None)

    async def network_exists(self, name: str) -> bool:
        """Whether there is a network of that name."""
        try:
            await self._json(f"networks/{quote(name)}")
        except EngineError as error:
            if error.status == 404:
                return False
            raise
        return True

    async def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a bridge. 409: there is one."""
        data = {"Name": name, "Driver": "bridge", "CheckDuplicate": True, "Labels": dict(labels)}
        await self._json("networks/create", "POST", data=data)

    async def events(self, labels: Mapping[str, str]) -> AsyncIterator[Event | None]:
        """Ends of containers of these labels; first None, once none can be missed any more."""
        params = {"filters": filters(labels, type=["container"], event=ENDS)}
        async with self._streaming("events", params) as response:
            yield None
            async for line in response.content:
                event = json.loads(line)
                actor = event.get("Actor", {})
                yield Event(
                    container_id=actor.get("ID", ""),
                    action=event.get("Action", ""),
                    attributes=actor.get("Attributes") or {},
                )

    async def output(
        self,
        container_id: str,
        *,
        follow: bool,
        since: str = "",
        tail: int | None = None,
        gather: float = 0.0,
    ) -> AsyncIterator[list[tuple[str, bytes]]]:
        """What it printed, as pieces with their stream; each begins with its time.

        `follow`: until the container ends. `since`: a time of a piece; later ones come. `gather`: seconds in
        which what comes is left lying, to be taken in one go.
        """
        params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": "1" if follow else "0"}
        params |= {"since": since} if since else {}
        params |= {"tail": str(tail)} if tail is not None else {}
        async with self._streaming(f"containers/{container_id}/logs", params) as response:
            rest = b""
            async for data in response.content.iter_any():
                pieces, rest = split_frames(rest + data)
                yield pieces
                await _leave_lying(response, gather)

    @asynccontextmanager
    async def _streaming(self, path: str, params: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._asking(None), self._docker._query(path, params=params) as response:
            try:
                yield response
            finally:
                # Not released: an endless answer cannot be read to its end.
                response.close()

    async def close(self) -> None:
        """Let go of all connections."""
        if hasattr(self, "_docker"):
            await self._docker.close()
            await self._session.close()


async def _leave_lying(response: aiohttp.ClientResponse, seconds: float) -> None:
    """Take nothing for a while. Each line that is taken as it comes would wake this process."""
    transport = response.connection.transport if response.connection else None
    if not seconds or transport is None or transport.is_closing():
        return
    transport.pause_reading()
    await asyncio.sleep(seconds)
    if not transport.is_closing():
        transport.resume_reading()
