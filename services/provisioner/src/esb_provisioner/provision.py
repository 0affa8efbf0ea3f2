"""Bring tables and buckets to what the config names: create, add, report, and never take away.

    resources ─parse▶ Table, Bucket ─compare with the store▶ create | add | leave and report ─▶ Result each

Each resource stands for itself: one that is wrong or fails is reported, and the next one has its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import partial

from artifact_contract.errors import SchemaError
from attrs import evolve, frozen

from esb_provisioner.buckets import parse_bucket
from esb_provisioner.errors import StoreError
from esb_provisioner.lifecycle import same_rules
from esb_provisioner.retry import Patience
from esb_provisioner.stores import BucketStore, TableStore
from esb_provisioner.tables import Table, TimeToLive, differences, new_indexes, parse_table

Properties = Mapping[str, object]


class Outcome(Enum):
    """What became of one resource; REJECTED is the config's fault, FAILED the store's."""

    CREATED = "created"
    UPDATED = "updated"
    EXISTING = "existing"
    REJECTED = "rejected"
    FAILED = "failed"


@frozen
class _Done:
    """What was done to a resource so far."""

    created: bool
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def changing(self, change: str) -> _Done:
        return evolve(self, changes=(*self.changes, change))

    def warning(self, warning: str) -> _Done:
        return evolve(self, warnings=(*self.warnings, warning))


@frozen
class Result:
    """One resource: what was done to it, what is otherwise than wanted, why it failed."""

    kind: str
    name: str
    outcome: Outcome
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def provision_tables(
    items: Iterable[Properties], store: TableStore, patience: Patience
) -> tuple[Result, ...]:
    """Provision every table in the order of the config; running it again changes nothing."""
    return tuple(
        _guarded("table", item, "TableName", partial(_table, item, store, patience)) for item in items
    )


def provision_buckets(
    items: Iterable[Properties], store: BucketStore, patience: Patience
) -> tuple[Result, ...]:
    """Provision every bucket in the order of the config; running it again changes nothing."""
    return tuple(
        _guarded("bucket", item, "BucketName", partial(_bucket, item, store, patience)) for item in items
    )


def _guarded(kind: str, item: Properties, key: str, work: Callable[[], _Done]) -> Result:
    name = str(item.get(key) or "(without a name)")
    try:
        done = work()
    except SchemaError as error:
        return Result(kind, name, Outcome.REJECTED, errors=tuple(map(str, error.problems)))
    except StoreError as error:
        return Result(kind, name, Outcome.FAILED, errors=(str(error),))
    outcome = Outcome.CREATED if done.created else Outcome.UPDATED if done.changes else Outcome.EXISTING
    return Result(kind, name, outcome, done.changes, done.warnings)


def _table(properties: Properties, store: TableStore, patience: Patience) -> _Done:
    want = parse_table(properties)
    have = patience.call(lambda: store.find(want.name))
    if have is None:
        patience.call(lambda: store.create(want))
    done = _Done(
        created=have is None,
        warnings=(*_unapplied(want.unapplied), *(differences(want, have) if have else ())),
    )
    for index in new_indexes(want, have) if have else ():
        patience.call(partial(store.add_index, want, index))
        done = done.changing(f"added the index {index.name}")
    return _expiry(want, store, patience, done)


def _expiry(want: Table, store: TableStore, patience: Patience, done: _Done) -> _Done:
    """Switch expiry; an expiry by another attribute is left alone, for it decides which items go."""
    wanted = want.ttl
    if wanted is None:
        return done
    have = patience.call(lambda: store.ttl(want.name)) or TimeToLive("", enabled=False)
    if have.enabled and wanted.attribute not in {"", have.attribute}:
        return done.warning(
            f"TimeToLiveSpecification: wanted {wanted.attribute}, items expire by {have.attribute}"
        )
    if have.enabled == wanted.enabled:
        return done
    change = evolve(wanted, attribute=wanted.attribute or have.attribute)
    patience.call(lambda: store.set_ttl(want.name, change))
    return done.changing(f"items {'' if change.enabled else 'no longer '}expire by {change.attribute}")


def _bucket(properties: Properties, store: BucketStore, patience: Patience) -> _Done:
    want = parse_bucket(properties)
    created = not patience.call(lambda: store.exists(want.name))
    if created:
        patience.call(lambda: store.create(want.name))
    done = _Done(created, warnings=_unapplied(want.unapplied))
    have = () if created else patience.call(lambda: store.rules(want.name))
    if same_rules(want.rules, have):
        return done
    if not want.rules:
        return done.warning(
            "LifecycleConfiguration: the bucket has rules that the config does not name; they stay"
        )
    patience.call(lambda: store.set_rules(want.name, want.rules))
    return done.changing(f"lifecycle: {', '.join(rule.name for rule in want.rules)}")


def _unapplied(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"{name}: has no effect here" for name in names)
