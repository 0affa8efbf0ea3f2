"""What a box leaves on its host: processes that name it, parts of networks and workers, mounts and rules.

Looks only. All is found from outside, by names, as nobody who made it would tell of what was forgotten.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from attrs import frozen

_SECONDS = 20
_CGROUPS = Path("/sys/fs/cgroup")
_NAMESPACES = Path("/run/netns")
_RULES = (("nft", "list", "ruleset"), ("iptables-save",), ("iptables-legacy-save",))
_STORES = "io.containerd."  # containerd's own directories: whole file systems of images


def marked_processes(word: str) -> list[str]:
    """The processes that have this word in their arguments or their environment, but for this one."""
    pattern = re.compile(rb"(^|[/\0=:])" + re.escape(word.encode()) + rb"($|[/\0:])")
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words, environ = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if words and (pattern.search(words) or pattern.search(environ)):
            said = words.replace(bytes(1), b" ").decode(errors="replace").strip()
            found.append(f"process {entry.name}: {said}")
    return found


@frozen
class Box:
    """A box of containerd mode, by what its parts are called; `places` are its directories."""

    slug: str
    bridge: str
    places: tuple[Path, ...]

    def remains(self) -> list[str]:
        """Return what of it the host has, a line each."""
        found = [line for place in self.places for line in marked_processes(str(place))]
        found += [f"network namespace {path.name}" for path in _below(_NAMESPACES, self.slug)]
        found += [f"interface {name}" for name in _interfaces(self.bridge)]
        found += [f"address {file.name}" for place in self.places for file in addresses(place)]
        heads = [f"{_NAMESPACES}/{name}-" for name in _names(self.slug)]
        found += [f"mount {point}" for point in mounts(self.places, *heads)]
        found += [f"firewall: {line}" for line in _rules(self.bridge)]
        return [*dict.fromkeys(found), *(f"cgroup {path}" for path in _cgroups(self.slug))]


def _names(slug: str) -> tuple[str, str]:
    """What names of its things begin with."""
    return slug, f"esb-{slug}"


def _below(directory: Path, slug: str) -> list[Path]:
    return sorted(path for name in _names(slug) for path in directory.glob(f"{name}-*"))


def _interfaces(bridge: str) -> list[str]:
    """The bridge and its ports."""
    links = json.loads(_said("ip", "-json", "link", "show") or "[]")
    return [link["ifname"] for link in links if bridge in (link["ifname"], link.get("master"))]


def addresses(place: Path) -> Iterator[Path]:
    """Yield what host-local has given away: a file each, named after the address."""
    for directory, names, files in os.walk(place):
        names[:] = [name for name in names if not name.startswith(_STORES)]
        for name in files:
            try:
                IPv4Address(name)
            except AddressValueError:
                continue
            yield Path(directory, name)


def mounts(places: tuple[Path, ...], *beginnings: str) -> list[str]:
    """Mount points in these places, or that begin so."""
    starts = (*(f"{place}/" for place in places), *beginnings)
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in points if point.startswith(starts)]


def _rules(bridge: str) -> list[str]:
    """The firewall's lines about the bridge, whichever program wrote them."""
    said = "\n".join(_said(*words) for words in _RULES)
    return [line.strip() for line in said.splitlines() if re.search(rf"\b{re.escape(bridge)}\b", line)]


def _cgroups(slug: str) -> list[str]:
    pattern = re.compile(rf"(^|[/:.-]){re.escape(slug)}($|[/:.-])")
    return [
        str(Path(directory, name))
        for directory, names, _ in os.walk(_CGROUPS)
        for name in names
        if pattern.search(name)
    ]


def _said(*words: str) -> str:
    """Return what a command prints; nothing when the host doesn't have it."""
    if not shutil.which(words[0]):
        return ""
    done = subprocess.run(words, capture_output=True, text=True, timeout=_SECONDS, check=False)
    return done.stdout
