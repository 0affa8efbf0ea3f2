"""`last_write_wins_v1`: what CONFIG_DIR holds after these entries (contract §10). No I/O, linear time.

    base ─prune what its owners no longer hold▶ ─write entries in list order▶ ─compare▶ Merged

Merging the result again with the same entries gives the result again, and no changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path

from artifact_contract.errors import Kind, Place, Problem, Severity
from artifact_contract.nodes import Mapping as MappingNode
from artifact_contract.nodes import Node, Scalar
from attrs import field, frozen

from artifactctl.ownership import Owner, Owners
from artifactctl.slots import DEFAULTS, FUNCTIONS, ROUTES, SETTINGS, Slot, Slots, label, slot_file


@frozen
class Base:
    """What is there before: the slots, and who owns those that an entry wrote."""

    slots: Slots = field(factory=dict)
    owners: Owners = field(factory=dict)


@frozen
class EntrySlots:
    """What one entry of the manifest brings, read from `directory`."""

    id: str
    owner: Owner
    slots: Slots
    directory: Path = Path()

    def place(self, slot: Slot) -> Place:
        """Where the slot stands in the entry, as far as the reader knew."""
        name, node = str(self.directory / slot_file(slot)), self.slots[slot]
        return Place(name, node.line, node.column) if node.line else Place(name)


@frozen
class EntryChanges:
    """What applying one entry does; `kept` are defaults it would set and that are there already.

    `differing` are the keys in which something replaced is another than before (`auth` of a route).
    """

    id: str
    ref: str
    added: tuple[Slot, ...] = ()
    replaced: tuple[Slot, ...] = ()
    removed: tuple[Slot, ...] = ()
    kept: tuple[Slot, ...] = ()
    differing: Mapping[Slot, tuple[str, ...]] = field(factory=dict)


@frozen
class Merged:
    """The outcome: what to write, what that changes, and what to warn of."""

    slots: Slots
    owners: Owners
    entries: tuple[EntryChanges, ...]
    changed: bool
    warnings: tuple[Problem, ...] = ()


def merge_entries(base: Base, entries: Sequence[EntrySlots]) -> Merged:
    """The base with the entries merged onto it in their order.

    What an owner of one of the entries wrote last time and holds no longer goes first. Overwriting what
    another project or env owns is a `STRICT` warning, overwriting what a person wrote a plain one.
    """
    slots, owners = dict(base.slots), dict(base.owners)
    pruned = _prune(slots, owners, entries)
    written, kept = _write(slots, owners, entries)
    before = base.slots
    rewritten = {slot for slot in written if slot in before and before[slot] != slots[slot]}
    changes = _Changes(
        added=_by_entry(((slot, index) for slot, index in written.items() if slot not in before), entries),
        replaced=_by_entry(((slot, index) for slot, index in written.items() if slot in rewritten), entries),
        removed=_by_entry(_removed(pruned, base, slots, entries), entries),
        kept=_by_entry(kept.items(), entries),
    )
    return Merged(
        slots=slots,
        owners=owners,
        entries=changes.of(entries, {slot: _differing(before[slot], slots[slot]) for slot in rewritten}),
        changed=changes.any() or owners != base.owners,
        warnings=tuple(_conflicts(base, entries, written, rewritten)),
    )


def _prune(
    slots: dict[Slot, Node], owners: dict[Slot, Owner], entries: Sequence[EntrySlots]
) -> dict[Slot, Owner]:
    """Remove what is owned by an entry of this manifest and stands in none of that owner's entries."""
    held: dict[Owner, set[Slot]] = {}
    for entry in entries:
        held.setdefault(entry.owner, set()).update(entry.slots)
    pruned = {slot: owner for slot, owner in owners.items() if owner in held and slot not in held[owner]}
    for slot in pruned:
        del owners[slot]
        slots.pop(slot, None)
    return pruned


def _write(
    slots: dict[Slot, Node], owners: dict[Slot, Owner], entries: Sequence[EntrySlots]
) -> tuple[dict[Slot, int], dict[Slot, int]]:
    """Write the entries' slots; returns by slot which entry wrote it, and which had to give way."""
    written: dict[Slot, int] = {}
    kept: dict[Slot, int] = {}
    for index, entry in enumerate(entries):
        owner = entry.owner
        for slot, node in entry.slots.items():
            if slot in slots:
                if slot[0] == DEFAULTS and (slot in written or owners.get(slot) != owner):
                    # an existing key wins, unless it is this owner's own from last time
                    if slots[slot] != node:
                        kept[slot] = index
                    continue
                if slot[0] == SETTINGS and slots[slot] == node:
                    # several projects may say the same; it stays with the one that said it first
                    continue
            slots[slot] = node
            owners[slot] = owner
            written[slot] = index
    return written, kept


@frozen
class _Changes:
    """The difference between before and after, a list an entry."""

    added: list[list[Slot]]
    replaced: list[list[Slot]]
    removed: list[list[Slot]]
    kept: list[list[Slot]]

    def any(self) -> bool:
        return any(map(any, (self.added, self.replaced, self.removed)))

    def of(
        self, entries: Sequence[EntrySlots], differing: Mapping[Slot, tuple[str, ...]]
    ) -> tuple[EntryChanges, ...]:
        lists = zip(self.added, self.replaced, self.removed, self.kept, strict=True)
        found = []
        for entry, (added, replaced, removed, kept) in zip(entries, lists, strict=True):
            keys = {slot: differing[slot] for slot in replaced if differing[slot]}
            four = tuple(added), tuple(replaced), tuple(removed), tuple(kept)
            found.append(EntryChanges(entry.id, entry.owner.ref, *four, keys))
        return tuple(found)


def _differing(before: Node, after: Node) -> tuple[str, ...]:
    if not (isinstance(before, MappingNode) and isinstance(after, MappingNode)):
        return ()
    keys = dict.fromkeys((*before.items, *after.items))
    return tuple(key for key in keys if before.items.get(key) != after.items.get(key))


def _by_entry(pairs: Iterable[tuple[Slot, int]], entries: Sequence[EntrySlots]) -> list[list[Slot]]:
    lists: list[list[Slot]] = [[] for _ in entries]
    for slot, index in pairs:
        lists[index].append(slot)
    return lists


def _removed(
    pruned: Owners, base: Base, slots: Slots, entries: Sequence[EntrySlots]
) -> Iterator[tuple[Slot, int]]:
    """What is gone, with the first entry of the owner that let it go."""
    first_of: dict[Owner, int] = {}
    for index, entry in enumerate(entries):
        first_of.setdefault(entry.owner, index)
    for slot, owner in pruned.items():
        if slot in base.slots and slot not in slots:
            yield slot, first_of[owner]


def _conflicts(
    base: Base, entries: Sequence[EntrySlots], written: Mapping[Slot, int], rewritten: Set[Slot]
) -> Iterator[Problem]:
    """A warning for each slot that was somebody else's."""
    for slot, index in written.items():
        if slot not in base.slots:
            continue
        entry, before = entries[index], base.owners.get(slot)
        mine = f"a key of project {entry.owner.project}, env {entry.owner.env}, or a new one"
        if before is None:
            if slot in rewritten:
                yield _overwritten(entry, slot, mine, "one that a person wrote", Severity.WARNING)
        elif (before.project, before.env) != (entry.owner.project, entry.owner.env):
            yield _overwritten(entry, slot, mine, f"one of {before}", Severity.STRICT)


def dangling_routes(merged: Merged) -> Iterator[Problem]:
    """A warning for each route to a function that isn't there: another artifact may still bring it."""
    for slot, node in merged.slots.items():
        function = node.items.get("function") if slot[0] == ROUTES and isinstance(node, MappingNode) else None
        if isinstance(function, Scalar) and (FUNCTIONS, function.text) not in merged.slots:
            name, place = f"{ROUTES}: {label(slot)}", Place(slot_file(slot))
            yield Problem(place, name, "a function", function.text, severity=Severity.WARNING)


def _overwritten(entry: EntrySlots, slot: Slot, expected: str, found: str, severity: Severity) -> Problem:
    name = f"{slot[0]}: {label(slot)}"
    hint = "the last write wins"
    return Problem(entry.place(slot), name, expected, found, hint, severity, Kind.OWNERSHIP)
