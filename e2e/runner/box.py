"""What a profile's driver can do: the port between the phases and the ways to have a box."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import attrs
from faults.remains import marked_processes

from runner.commands import Commands
from runner.matrix import Profile

_APPLIER_SECONDS = 120.0
_GONE_SECONDS = 20.0
_LOOK_SECONDS = 0.2


class Box(Protocol):
    """One profile's box in one checkout. All it keeps is on disk, so that phases may be runs apart."""

    async def reset(self) -> None:
        """Remove what an earlier run of this profile left. Fine when there is nothing."""

    async def compose(self) -> None:
        """Bring the box up, with nothing applied."""

    async def deploy(self) -> None:
        """Put the committed artifact in force with artifactctl and wait until it is served."""

    async def facts(self) -> Mapping[str, str]:
        """What tests are told, names after `ESB_E2E_`."""

    async def down(self) -> None:
        """Take the box down, with all it made."""

    async def leftovers(self) -> list[str]:
        """What is still there after `down`, a line each."""

    async def trouble(self) -> str:
        """Return what the box says of itself, after a failure."""


@attrs.frozen
class Work:
    """What a driver works with: the profile, the checkout, a place of its own, commands with their log."""

    profile: Profile
    root: Path
    commands: Commands
    mark: str
    temporary: Path

    @property
    def place(self) -> Path:
        """The directory of this box: made by `compose`, removed by `down`."""
        return self.temporary / self.mark

    async def artifactctl(
        self, *words: object, environ: Mapping[str, str] | None = None, seconds: float = _APPLIER_SECONDS
    ) -> None:
        """Run the applier of this environment."""
        command = Path(sys.prefix) / "bin" / "artifactctl"
        await self.commands.run(command, *words, seconds=seconds, environ=environ)

    async def remaining(self) -> list[str]:
        """Return the processes that have the mark and don't end soon."""
        deadline = time.monotonic() + _GONE_SECONDS
        found = marked_processes(self.mark)
        while found and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_SECONDS)
            found = marked_processes(self.mark)
        return found


def mark(profile: str, place: Path) -> str:
    """Name what belongs to the runs of a profile in `place`, on a host where others may run the same one."""
    return f"esb-{profile}-{hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:6]}"


def write_json(file: Path, value: object) -> None:
    """Write whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".tmp")
    partial.write_text(json.dumps(value, indent=2))
    partial.replace(file)


def read_health(url: str) -> dict[str, Any]:
    """What the gateway says of itself; nothing when it does not answer."""
    with suppress(OSError, ValueError), urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
    return {}
