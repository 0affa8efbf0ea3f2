"""A DynamoDB table as CloudFormation words it, and how two descriptions of one table differ.

`parse_table` turns an item of `resources.dynamodb` (contract §9) into a `Table`; `differences` compares
it with the table that exists. Keys, indexes and billing of an existing table are only reported: changing
them would mean making the table anew, and its data with it.
"""

from __future__ import annotations

from collections.abc import Mapping

from artifact_contract.errors import SchemaError
from attrs import evolve, frozen

from esb_provisioner.fields import Fields

ON_DEMAND = "PAY_PER_REQUEST"
PROVISIONED = "PROVISIONED"
_VIEWS = ("NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY")


@frozen
class Throughput:
    """Reserved capacity in units per second."""

    read: int
    write: int


@frozen
class Index:
    """A secondary index; `hash_key` and `range_key` are attribute names."""

    name: str
    hash_key: str
    range_key: str | None
    projection: str
    projected: tuple[str, ...] = ()
    throughput: Throughput | None = None


@frozen
class TimeToLive:
    """Whether items expire, and the attribute that says when (epoch seconds)."""

    attribute: str
    enabled: bool


@frozen
class Table:
    """A table in the words of `resources.yml`; `unapplied` names properties that have no effect here."""

    name: str
    hash_key: str
    range_key: str | None
    attributes: tuple[tuple[str, str], ...]
    billing: str = ON_DEMAND
    throughput: Throughput | None = None
    global_indexes: tuple[Index, ...] = ()
    local_indexes: tuple[Index, ...] = ()
    stream: str | None = None
    ttl: TimeToLive | None = None
    unapplied: tuple[str, ...] = ()


def parse_table(properties: Mapping[str, object]) -> Table:
    """Read a table, precisely.

    Raises:
        SchemaError: something is missing or of the wrong kind; all problems of the table together.
    """
    name = properties.get("TableName")
    fields = Fields(name if isinstance(name, str) and name else "a table without a name", properties)
    keys = _keys(fields)
    table = Table(
        name=fields.text("TableName", required=True),
        hash_key=keys[0],
        range_key=keys[1],
        attributes=_attributes(fields),
        billing=_billing(fields),
        throughput=_throughput(fields),
        global_indexes=_indexes(fields, "GlobalSecondaryIndexes"),
        local_indexes=_indexes(fields, "LocalSecondaryIndexes"),
        stream=_stream(fields),
        ttl=_ttl(fields),
    )
    _check_throughput(fields, table)
    _check_attributes(fields, table)
    fields.ignore("Tags")  # tags steer cost reports of an account; a box has none
    if fields.problems:
        raise SchemaError(tuple(fields.problems))
    return evolve(table, unapplied=fields.unread())


def new_indexes(want: Table, have: Table) -> tuple[Index, ...]:
    """The global indexes the existing table lacks: they can be added without touching its items."""
    known = {index.name for index in have.global_indexes}
    return tuple(index for index in want.global_indexes if index.name not in known)


def differences(want: Table, have: Table) -> tuple[str, ...]:
    """What the existing table has otherwise and keeps, one sentence each."""
    found = []
    if (want.hash_key, want.range_key) != (have.hash_key, have.range_key):
        found.append(f"KeySchema: wanted {_key_text(want)}, the table has {_key_text(have)}")
    found += _type_differences(want, have)
    if want.billing != have.billing:
        found.append(f"BillingMode: wanted {want.billing}, the table has {have.billing}")
    elif want.throughput != have.throughput:
        found.append(f"ProvisionedThroughput: wanted {want.throughput}, the table has {have.throughput}")
    found += _index_differences("GlobalSecondaryIndexes", want.global_indexes, have.global_indexes)
    found += _index_differences("LocalSecondaryIndexes", want.local_indexes, have.local_indexes)
    found += [
        f"LocalSecondaryIndexes: {index.name} can only be made together with the table"
        for index in want.local_indexes
        if index.name not in {other.name for other in have.local_indexes}
    ]
    if want.stream != have.stream:
        found.append(
            f"StreamSpecification: wanted {want.stream or 'none'}, the table has {have.stream or 'none'}"
        )
    return tuple(found)


def _index_differences(kind: str, want: tuple[Index, ...], have: tuple[Index, ...]) -> list[str]:
    wanted = {index.name: index for index in want}
    found = []
    for index in have:
        other = wanted.get(index.name)
        if other is None:
            found.append(f"{kind}: the table has {index.name}, which the config does not name; it stays")
        elif _shape(index) != _shape(other):
            found.append(f"{kind}: {index.name} has other keys or another projection than the config says")
    return found


def _type_differences(want: Table, have: Table) -> list[str]:
    existing = dict(have.attributes)
    return [
        f"AttributeDefinitions: {name} is {existing[name]}, not {kind}"
        for name, kind in want.attributes
        if existing.get(name, kind) != kind
    ]


def _shape(index: Index) -> tuple[str, str | None, str, frozenset[str]]:
    return index.hash_key, index.range_key, index.projection, frozenset(index.projected)


def _key_text(table: Table) -> str:
    return f"{table.hash_key} + {table.range_key}" if table.range_key else table.hash_key


def _keys(fields: Fields) -> tuple[str, str | None]:
    found: dict[str, str] = {}
    for item in fields.children("KeySchema", required=True):
        name = item.text("AttributeName", required=True)
        kind = item.text("KeyType", required=True, among=("HASH", "RANGE"))
        if kind in found:
            item.wrong("KeyType", f"one {kind} key", f"another one, {name}")
        found[kind] = name
    if fields.has("KeySchema") and "HASH" not in found and not fields.problems:
        fields.wrong("KeySchema", "one key of type HASH", "none")
    return found.get("HASH", ""), found.get("RANGE")


def _attributes(fields: Fields) -> tuple[tuple[str, str], ...]:
    return tuple(
        (
            item.text("AttributeName", required=True),
            item.text("AttributeType", required=True, among=("S", "N", "B")),
        )
        for item in fields.children("AttributeDefinitions", required=True)
    )


def _billing(fields: Fields) -> str:
    # Without either property CloudFormation refuses; here capacity means nothing, so on-demand is kinder.
    default = PROVISIONED if fields.has("ProvisionedThroughput") else ON_DEMAND
    return fields.text("BillingMode", default, among=(ON_DEMAND, PROVISIONED))


def _throughput(fields: Fields) -> Throughput | None:
    units = fields.child("ProvisionedThroughput")
    if units is None:
        return None
    read = units.integer("ReadCapacityUnits", minimum=1, required=True)
    write = units.integer("WriteCapacityUnits", minimum=1, required=True)
    return Throughput(read or 1, write or 1)


def _indexes(fields: Fields, name: str) -> tuple[Index, ...]:
    return tuple(_index(item) for item in fields.children(name))


def _index(item: Fields) -> Index:
    hash_key, range_key = _keys(item)
    projection = item.child("Projection")
    if projection is None and not item.has("Projection"):
        item.wrong("Projection", "a mapping with ProjectionType", "nothing")
    return Index(
        name=item.text("IndexName", required=True),
        hash_key=hash_key,
        range_key=range_key,
        projection=projection.text("ProjectionType", "ALL", among=("ALL", "KEYS_ONLY", "INCLUDE"))
        if projection
        else "ALL",
        projected=projection.texts("NonKeyAttributes") if projection else (),
        throughput=_throughput(item),
    )


def _stream(fields: Fields) -> str | None:
    stream = fields.child("StreamSpecification")
    return stream.text("StreamViewType", required=True, among=_VIEWS) if stream else None


def _ttl(fields: Fields) -> TimeToLive | None:
    spec = fields.child("TimeToLiveSpecification")
    if spec is None:
        return None
    enabled = spec.boolean("Enabled", default=True)
    return TimeToLive(spec.text("AttributeName", required=enabled), enabled)


def _check_throughput(fields: Fields, table: Table) -> None:
    if table.billing == PROVISIONED and table.throughput is None and not fields.has("ProvisionedThroughput"):
        fields.wrong("ProvisionedThroughput", "capacity units, because BillingMode is PROVISIONED", "nothing")
    if table.billing == ON_DEMAND and table.throughput is not None:
        fields.wrong(
            "ProvisionedThroughput", "nothing, because BillingMode is PAY_PER_REQUEST", "capacity units"
        )


def _check_attributes(fields: Fields, table: Table) -> None:
    """Every key is defined and every definition is a key: the rule the store has, told with the names."""
    if fields.problems:
        return
    indexes = (*table.global_indexes, *table.local_indexes)
    pairs = [(table.hash_key, table.range_key), *((index.hash_key, index.range_key) for index in indexes)]
    used = {key for pair in pairs for key in pair if key}
    defined = {name for name, _ in table.attributes}
    for name in sorted(used - defined):
        fields.wrong("AttributeDefinitions", f"a definition of the key {name}", "none")
    for name in sorted(defined - used):
        fields.wrong(
            "AttributeDefinitions", "keys of the table or of an index only", f"{name}, which is no key"
        )
