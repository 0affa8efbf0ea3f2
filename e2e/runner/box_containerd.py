"""The box of `esb-node up --mode containerd`: services as processes, functions in a containerd of its own.

All that it makes on the host has the mark in its name, and its workers a subnet that no other box has.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path

from faults.remains import Box as Made
from faults.stored import stored_remains

from runner.box import Work, write_json
from runner.box_process import BIN, ProcessBox
from runner.images import prepare_images, setting

_SECONDS = 180.0
_PREFIX = 20  # of one box's subnet: 4,094 workers


class ContainerdBox(ProcessBox):
    """A box below a temporary directory, of this host's network."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        self._kept: list[str] = []
        self._made = work.temporary / f"{work.mark}.json"

    async def compose(self) -> None:
        """`esb-node up --mode containerd`; what its parts are called is written down."""
        self._work.place.mkdir(mode=0o700)
        await self._node("up", "--mode", "containerd", "--detach")
        self._write_down()

    async def facts(self) -> Mapping[str, str]:
        """Where the box is, and its containerd."""
        layout = self._layout()
        settings = (Path(layout["run"]) / "node.env").read_text().splitlines()
        address = dict(line.split("=", 1) for line in settings if "=" in line)["ESB_CONTAINERD_ADDRESS"]
        return {**await super().facts(), "KIND": "containerd", "CONTAINERD": address}

    async def down(self) -> None:
        """`esb-node down`, then what its containerd keeps is looked at, before the directory is removed."""
        if self._state.exists():
            self._write_down()
            await self._node("down")
            self._kept = await asyncio.to_thread(self._looked_at)
        if self._work.place.exists():
            await asyncio.to_thread(shutil.rmtree, self._work.place)

    async def leftovers(self) -> list[str]:
        """What the host has of it, and what its containerd and its address book still had."""
        found = [*await super().leftovers(), *self._kept]
        if self._made.exists():
            found += await asyncio.to_thread(self._names().remains)
            self._made.unlink()
        return found

    def _write_down(self) -> None:
        """How its parts are called: nobody else knows it any more once they are gone."""
        with suppress(OSError):  # nothing was made yet
            write_json(self._made, self._layout())

    def _looked_at(self) -> list[str]:
        """Look while the directory is there; a box that never came up has made nothing."""
        if not self._made.exists():
            return []
        return [*stored_remains(self._state / "containerd"), *self._names().remains()]

    def _names(self) -> Made:
        layout = json.loads(self._made.read_text())
        places = (self._work.place, Path(layout["run"]))
        return Made(layout["slug"], layout["bridge"], places)

    def _layout(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self._state / "node.json").read_text())
        return found

    async def _prepare_images(self) -> None:
        await prepare_images(self._work)

    async def _node(self, *words: str) -> None:
        command, *options = words
        await self._commands.run(
            *(BIN / "esb-node", command, "--state", self._state, *options),
            seconds=_SECONDS,
            environ={
                "ESB_BRAND_SLUG": self._work.mark,
                "ESB_ENV": "gate",
                "ESB_CNI_SUBNET": str(subnet(IPv4Network(setting(self._work, "network")), self._work.mark)),
            },
        )


def subnet(network: IPv4Network, mark: str) -> IPv4Network:
    """One of a profile's subnets: checkouts that run the same profile have different ones, most likely."""
    number = int(hashlib.sha256(mark.encode()).hexdigest(), 16)
    choices = list(network.subnets(new_prefix=_PREFIX))
    return choices[number % len(choices)]
