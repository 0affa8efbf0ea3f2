"""Who wrote which slot of a generation (contract §10): what pruning and warnings between projects go by.

    {"version": 1, "owners": [
    {"project": ..., "env": ..., "ref": ..., "slots": [["functions", "orders"], ["routes", "GET", "/orders"]]}
    ]}

A line an owner. A slot that nobody has here belongs to a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from attrs import asdict, frozen

from artifactctl.slots import KINDS, Slot

OWNERSHIP_FILE = "ownership.json"
_VERSION = 1


@frozen
class Owner:
    """An entry as it is known from one apply to the next; `ref` is the path of its template (§4)."""

    project: str
    env: str
    ref: str

    def __str__(self) -> str:
        return f"{self.ref} of project {self.project}, env {self.env}"


Owners: TypeAlias = Mapping[Slot, Owner]


def dump_owners(owners: Owners) -> bytes:
    """The text of `ownership.json`, the same for the same owners in the same order."""
    slots: dict[Owner, list[Slot]] = {}
    for slot, owner in owners.items():
        slots.setdefault(owner, []).append(slot)
    lines = [
        json.dumps({**asdict(owner), "slots": owned}, ensure_ascii=False) for owner, owned in slots.items()
    ]
    body = ",\n".join(lines)
    return f'{{"version": {_VERSION}, "owners": [\n{body}\n]}}\n'.encode()


def parse_owners(data: bytes) -> dict[Slot, Owner]:
    """The owners in an `ownership.json`.

    Raises:
        ValueError: it is not one; says what is wrong with it.
    """
    try:
        root = json.loads(data)
        if root["version"] != _VERSION:
            raise ValueError(f"version {root['version']!r}, this tool reads {_VERSION}")
        found: dict[Slot, Owner] = {}
        for each in root["owners"]:
            owner = Owner(str(each["project"]), str(each["env"]), str(each["ref"]))
            found.update((_slot(parts), owner) for parts in each["slots"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"it lacks or misuses {error}") from error
    return found


def _slot(parts: list[str]) -> Slot:
    if not parts or parts[0] not in KINDS:
        raise ValueError(f"not a slot: {parts!r}")
    return tuple(map(str, parts))
