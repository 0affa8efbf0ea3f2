"""The box of docker-compose.docker.yml: services and functions as containers of the host's engine.

Everything has the profile's mark: the compose project, its network and volumes, the workers' brand.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from runner.box import Work, read_health, write_json
from runner.commands import PhaseError
from runner.images import BUILD_SECONDS, prepare_images, setting

_SOCKET = Path("/var/run/docker.sock")
_SECONDS = 120.0
# Below the range that the kernel takes ports of outgoing connections from, so that a restart finds it free.
_PORTS = range(18000, 19000)
_STORES = {"s3": 8333, "dynamodb": 8000}
_PROJECT, _BRAND = "com.docker.compose.project", "io.esb.brand"
_KIND = {"container": ("ps", "--all"), "network": ("network", "ls"), "volume": ("volume", "ls")}


class DockerBox:
    """A box of the compose file, with the overrides of this profile's directory."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._commands = work.commands
        self._profile = work.profile
        self._environment = work.root / "e2e" / "environments" / work.profile.name
        self._images = work.place / "images.env"
        self._settings = work.place / "box.env"
        self._override = work.place / "compose.json"

    async def reset(self) -> None:
        """Remove what has the mark, also of a run that was killed."""
        await self.down()

    async def compose(self) -> None:
        """Build the services' images, then `docker compose up`."""
        place = self._work.place
        place.mkdir(mode=0o700)
        (place / "config").mkdir(mode=0o755)
        built = await self._commands.ask(
            *(sys.executable, "scripts/build_service_images.py", "--push"),
            *("--registry", setting(self._work, "registry")),
            *("--base", setting(self._work, "service_base")),
            seconds=BUILD_SECONDS,
            environ={"ESB_BRAND_SLUG": self._work.mark},
        )
        self._images.write_text(built)
        self._write_settings()
        await self._compose("up", "--detach", "--wait", "--quiet-pull", seconds=BUILD_SECONDS)

    async def deploy(self) -> None:
        """Fixture images, then validate-id, prepare-images into the registry, apply, the provisioner."""
        artifact = ("--artifact", self._profile.artifact)
        config = self._work.place / "config"
        await self._work.artifactctl("validate-id", *artifact, "--strict")
        await prepare_images(self._work)
        await self._work.artifactctl("apply", *artifact, "--out", config)
        await self._compose("--profile", "deploy", "run", "--rm", "--no-deps", "provisioner")
        await self._served((config / "current").readlink().name)

    async def facts(self) -> Mapping[str, str]:
        """Where the box is; its credentials are copied out of it."""
        credentials = self._work.place / "credentials.yml"
        credentials.touch(mode=0o600)
        path = "/var/lib/esb/gateway/credentials.yml"
        credentials.write_text(await self._asked("exec", "-T", "gateway", "cat", path))
        stores = {
            f"{name.upper()}_URL": f"http://{(await self._asked('port', name, str(port))).strip()}"
            for name, port in _STORES.items()
        }
        return {
            "KIND": "docker",
            "URL": self._url(),
            "CREDENTIALS": str(credentials),
            "MARK": self._work.mark,
            **stores,
        }

    async def down(self) -> None:
        """Remove containers, then networks and volumes that have the mark, and the directory.

        Services first, and workers until there are none: the agent may be starting one.
        """
        for label in (_PROJECT, _BRAND, _BRAND):
            if found := await self._labelled("container", label):
                await self._docker("rm", "--force", "--volumes", *found)
        for kind in ("network", "volume"):
            if found := await self._marked(kind):
                await self._docker(kind, "rm", *found)
        if self._work.place.exists():
            await asyncio.to_thread(shutil.rmtree, self._work.place)

    async def leftovers(self) -> list[str]:
        """Whatever of the engine's has the mark, processes that name it, and its files."""
        found = [f"{kind} {name}" for kind in _KIND for name in await self._marked(kind)]
        processes = await self._work.remaining()
        return [*found, *processes, *(f"directory {path}" for path in [self._work.place] if path.exists())]

    async def trouble(self) -> str:
        """What services and workers logged."""
        if not self._override.exists():
            return ""
        services = await self._asked("logs", "--no-color", "--tail", "500")
        workers = await self._ask("ps", "--all", "--filter", f"label=io.esb.brand={self._work.mark}")
        return f"{services}\n{workers}"

    def _write_settings(self) -> None:
        """What the compose file wants, in a file of its own, since it holds a secret."""
        mark, port = self._work.mark, _free_port()
        values = {
            "CONFIG_DIR": self._work.place / "config",
            "DOCKER_GID": _SOCKET.stat().st_gid,
            "ESB_ACCESS_KEY_ID": "e2e-functions",
            "ESB_SECRET_ACCESS_KEY": os.urandom(20).hex(),
            "ESB_BRAND_SLUG": mark,
            "ESB_ENV": "gate",
            "ESB_NETWORK": mark,
            "ESB_GATEWAY_PORT": port,
        }
        self._settings.touch(mode=0o600)
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        # The stores' ports are for tests to look into them; the profile's settings are the gateway's.
        services: dict[str, object] = {}
        for name, inside in _STORES.items():
            port = _free_port(port)
            services[name] = {"ports": [f"127.0.0.1:{port}:{inside}"]}
        services["gateway"] = {"environment": dict(self._profile.environment)}
        write_json(self._override, {"services": services})

    async def _served(self, generation: str) -> None:
        """Wait until the gateway is at this generation."""
        deadline = time.monotonic() + _SECONDS
        while (health := await asyncio.to_thread(read_health, self._url())).get("generation") != generation:
            if time.monotonic() > deadline:
                raise PhaseError(f"generation {generation} is not served after {_SECONDS:g} s: {health}")
            await asyncio.sleep(0.1)

    def _url(self) -> str:
        found = re.search(r"^ESB_GATEWAY_PORT=(\d+)$", self._settings.read_text(), re.MULTILINE)
        return f"http://127.0.0.1:{found[1] if found else ''}"

    async def _marked(self, kind: str) -> list[str]:
        """Names of containers, networks or volumes that have the mark."""
        found = {name for label in (_PROJECT, _BRAND) for name in await self._labelled(kind, label)}
        return sorted(found)

    async def _labelled(self, kind: str, label: str) -> list[str]:
        template = "{{.Names}}" if kind == "container" else "{{.Name}}"
        words = (*_KIND[kind], "--filter", f"label={label}={self._work.mark}", "--format", template)
        return (await self._ask(*words)).split()

    async def _compose(self, *words: str, seconds: float = _SECONDS) -> None:
        await self._commands.run("docker", *self._compose_words(), *words, seconds=seconds)

    async def _asked(self, *words: str) -> str:
        return await self._ask(*map(str, self._compose_words()), *words)

    def _compose_words(self) -> tuple[object, ...]:
        files = (
            self._work.root / "docker-compose.docker.yml",
            self._environment / "compose.override.yml",
            self._override,
        )
        return (
            *("compose", "--project-name", self._work.mark, "--project-directory", self._work.place),
            *("--env-file", self._images, "--env-file", self._settings),
            *(word for file in files for word in ("--file", file)),
        )

    async def _docker(self, *words: str) -> None:
        await self._commands.run("docker", *words, seconds=_SECONDS)

    async def _ask(self, *words: str) -> str:
        return await self._commands.ask("docker", *words, seconds=_SECONDS)


def _free_port(after: int = _PORTS.start) -> int:
    """Return a port of 127.0.0.1 that nobody has."""
    for port in range(after + 1, _PORTS.stop):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PhaseError(f"no port from {_PORTS.start} to {_PORTS.stop} is free")
