"""The box of `esb-node`: services and functions as processes, moto embedded."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.box import Work, read_health
from runner.commands import PhaseError

BIN = Path(sys.prefix) / "bin"
_SECONDS = 120.0


class ProcessBox:
    """A box below a temporary directory, brought up as a user would."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._commands = work.commands
        self._state = work.place / "box"

    async def reset(self) -> None:
        """Stop the box of an earlier run and remove its directory."""
        await self.down()

    async def compose(self) -> None:
        """`esb-node up`, on free ports."""
        self._work.place.mkdir(mode=0o700)
        await self._node("up", "--detach")

    async def deploy(self) -> None:
        """validate-id, prepare-images, apply; the box provisions by itself."""
        artifact = ("--artifact", self._work.profile.artifact)
        config = self._state / "config"
        await self._work.artifactctl("validate-id", *artifact, "--strict")
        await self._prepare_images()
        await self._work.artifactctl("apply", *artifact, "--out", config)
        await self._served((config / "current").readlink().name)

    async def facts(self) -> Mapping[str, str]:
        """Where the box is."""
        status = await self._status()
        return {
            "KIND": "process",
            "URL": status["urls"]["gateway"],
            "S3_URL": status["urls"]["data-plane"],
            "DYNAMODB_URL": status["urls"]["data-plane"],
            "CREDENTIALS": status["credentials_file"],
            "STATE": str(self._state),
        }

    async def down(self) -> None:
        """`esb-node down`, and the directory removed."""
        if self._state.exists():
            await self._node("down")
        if self._work.place.exists():
            await asyncio.to_thread(shutil.rmtree, self._work.place)

    async def leftovers(self) -> list[str]:
        """Processes that name the box's directory, and files of it."""
        found = await self._work.remaining()
        return [*found, *(f"directory {path}" for path in [self._work.place] if path.exists())]

    async def trouble(self) -> str:
        """The last lines of the services' logs."""
        if not self._state.exists():
            return ""
        words = (BIN / "esb-node", "logs", "--state", self._state, "--lines", "500")
        return await self._commands.ask(*words, seconds=_SECONDS, check=False)

    async def _prepare_images(self) -> None:
        """Images go into a layout that the agent reads."""
        layout = f"oci-layout:{self._state / 'images'}"
        words = ("prepare-images", "--artifact", self._work.profile.artifact, "--target", layout)
        await self._work.artifactctl(*words)

    async def _node(self, *words: str) -> None:
        command, *options = words
        await self._commands.run(
            BIN / "esb-node", command, "--state", self._state, *options, seconds=_SECONDS
        )

    async def _status(self) -> dict[str, Any]:
        said = await self._commands.ask(
            *(BIN / "esb-node", "status", "--state", self._state, "--output", "json"), seconds=_SECONDS
        )
        found: dict[str, Any] = json.loads(said)
        return found

    async def _served(self, generation: str) -> None:
        """Wait until gateway and provisioner are at this generation."""
        deadline = time.monotonic() + _SECONDS
        while True:
            status = json.loads((self._state / "box.json").read_text())
            run = status["provisioner"]
            if run["generation"] == generation and run["state"] in ("failed", "rejected"):
                raise PhaseError(f"provisioning: {run['state']}: {run['trouble']}")
            provisioned = run["generation"] == generation and run["state"] == "done"
            health = await asyncio.to_thread(read_health, status["urls"]["gateway"])
            if provisioned and health.get("generation") == generation:
                return
            if time.monotonic() > deadline:
                raise PhaseError(
                    f"generation {generation} is not served after {_SECONDS:g} s: {health}, {run}"
                )
            await asyncio.sleep(0.1)
