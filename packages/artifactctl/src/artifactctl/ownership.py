"""Who wrote which slot of a generation (contract §10): the record behind pruning and behind warnings between projects.

    {"version": 1, "owners": [{"project": ..., "env": ..., "ref": ...}],
     "slots": [["functions", "orders", 0], ["routes", "GET", "/orders", 0]]}

The number that ends a slot is its owner's index. A slot that isn't listed belongs to a person.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from attrs import asdict, frozen

from artifactctl.slots import KINDS, Slot

OWNERSHIP_FILE = "ownership.json"
_VERSION = 1
_encode = json.JSONEncoder(ensure_ascii=False).encode


@frozen
class Owner:
    """An entry as it is recognised from one apply to the next; `ref` is the canonical path of its template (§4)."""

    project: str
    env: str
    ref: str

    def __str__(self) -> str:
        return f"{self.ref} of project {self.project}, env {self.env}"


Owners: TypeAlias = Mapping[Slot, Owner]


def dump_owners(owners: Owners) -> bytes:
    """The text of `ownership.json`, a line a slot, the same for the same owners in the same order."""
    numbers: dict[Owner, int] = {}
    lines = [_encode([*slot, numbers.setdefault(owner, len(numbers))]) for slot, owner in owners.items()]
    head = _encode([asdict(owner) for owner in numbers])
    body = ",\n".join(lines)
    return f'{{"version": {_VERSION}, "owners": {head},\n"slots": [\n{body}\n]}}\n'.encode()


def parse_owners(data: bytes) -> dict[Slot, Owner]:
    """The owners in an `ownership.json`.

    Raises:
        ValueError: it is not one; says what is wrong with it.
    """
    try:
        root = json.loads(data)
        if root["version"] != _VERSION:
            raise ValueError(f"version {root['version']!r}, this tool reads {_VERSION}")
        owners = [Owner(str(each["project"]), str(each["env"]), str(each["ref"])) for each in root["owners"]]
        found = {_slot(parts): owners[number] for *parts, number in root["slots"]}
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"it lacks or misuses {error}") from error
    return found


def _slot(parts: list[str]) -> Slot:
    if not parts or parts[0] not in KINDS or not all(isinstance(part, str) for part in parts):
        raise ValueError(f"not a slot: {parts!r}")
    return tuple(parts)
