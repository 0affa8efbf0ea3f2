from attrs import evolve
from esb_provisioner.buckets import LifecycleRule
from esb_provisioner.errors import StoreError, StoreUnreachableError
from esb_provisioner.provision import Outcome, provision_buckets, provision_tables
from esb_provisioner.tables import Index, TimeToLive, parse_table


class FakeTables:
    """A `TableStore` in memory; names in `broken` are refused."""

    def __init__(self, broken=(), answer=StoreError):
        self.tables, self.ttls, self.broken, self.answer = {}, {}, set(broken), answer

    def find(self, name):
        if name in self.broken:
            raise self.answer(f"{name}: no")
        return self.tables.get(name)

    def create(self, table):
        self.tables[table.name] = evolve(table, ttl=None, unapplied=())

    def add_index(self, table, index):
        have = self.tables[table.name]
        self.tables[table.name] = evolve(have, global_indexes=(*have.global_indexes, index))

    def ttl(self, name):
        return self.ttls.get(name)

    def set_ttl(self, name, ttl):
        self.ttls[name] = ttl


class FakeBuckets:
    """A `BucketStore` in memory."""

    def __init__(self):
        self.buckets = {}

    def exists(self, name):
        return name in self.buckets

    def create(self, name):
        self.buckets[name] = ()

    def rules(self, name):
        return self.buckets[name]

    def set_rules(self, name, rules):
        self.buckets[name] = rules


def table(name="orders", **properties):
    return {
        "TableName": name,
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    } | properties


TTL = {"AttributeName": "expires", "Enabled": "true"}
INDEX = {
    "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("id", "who")],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-who",
            "KeySchema": [{"AttributeName": "who", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}


def test_a_second_run_changes_nothing(patience):
    tables, buckets = FakeTables(), FakeBuckets()
    items = [table(TimeToLiveSpecification=TTL)]
    files = [
        {
            "BucketName": "files",
            "LifecycleConfiguration": {"Rules": [{"Status": "Enabled", "ExpirationInDays": 1}]},
        }
    ]
    first = (*provision_tables(items, tables, patience), *provision_buckets(files, buckets, patience))
    again = (*provision_tables(items, tables, patience), *provision_buckets(files, buckets, patience))
    assert [r.outcome for r in first] == [Outcome.CREATED, Outcome.CREATED]
    assert first[0].changes == ("items expire by expires",)
    assert [(r.outcome, r.changes, r.warnings) for r in again] == [(Outcome.EXISTING, (), ())] * 2


def test_a_missing_index_and_expiry_are_added_to_an_existing_table(patience):
    store = FakeTables()
    provision_tables([table()], store, patience)
    [result] = provision_tables([table(TimeToLiveSpecification=TTL) | INDEX], store, patience)
    assert result.outcome is Outcome.UPDATED
    assert result.changes == ("added the index by-who", "items expire by expires")
    assert store.tables["orders"].global_indexes == (Index("by-who", "who", None, "ALL"),)


def test_other_keys_are_reported_and_the_table_stays_as_it_is(patience):
    store = FakeTables()
    provision_tables([table()], store, patience)
    before = store.tables["orders"]
    other = table(
        AttributeDefinitions=[{"AttributeName": "order", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "order", "KeyType": "HASH"}],
    )
    [result] = provision_tables([other], store, patience)
    assert result.outcome is Outcome.EXISTING
    assert result.warnings == ("KeySchema: wanted order, the table has id",)
    assert store.tables["orders"] == before


def test_an_expiry_by_another_attribute_is_left_alone(patience):
    store = FakeTables()
    provision_tables([table()], store, patience)
    store.ttls["orders"] = TimeToLive("until", enabled=True)
    [result] = provision_tables([table(TimeToLiveSpecification=TTL)], store, patience)
    assert result.outcome is Outcome.EXISTING
    assert result.warnings == ("TimeToLiveSpecification: wanted expires, items expire by until",)
    assert store.ttls["orders"].attribute == "until"


def test_expiry_can_be_switched_off_without_naming_the_attribute(patience):
    store = FakeTables()
    provision_tables([table(TimeToLiveSpecification=TTL)], store, patience)
    [result] = provision_tables([table(TimeToLiveSpecification={"Enabled": False})], store, patience)
    assert result.changes == ("items no longer expire by expires",)
    assert store.ttls["orders"] == TimeToLive("expires", enabled=False)


def test_one_failure_and_one_rejection_do_not_stop_the_others(patience):
    store = FakeTables(broken={"bad"}, answer=StoreUnreachableError)
    items = [table("bad"), table("wrong", KeySchema="id"), table("good")]
    results = provision_tables(items, store, patience)
    assert [(r.name, r.outcome) for r in results] == [
        ("bad", Outcome.FAILED),
        ("wrong", Outcome.REJECTED),
        ("good", Outcome.CREATED),
    ]
    assert results[0].errors == ("bad: no",)
    assert results[1].errors == ("resources.yml: wrong: KeySchema: expected a list, found 'id'",)


def test_rules_of_a_bucket_are_replaced_by_the_wanted_ones_but_not_by_none(patience):
    store = FakeBuckets()
    store.buckets["files"] = (LifecycleRule("old", enabled=True, days=9),)
    [untouched] = provision_buckets([{"BucketName": "files"}], store, patience)
    assert untouched.outcome is Outcome.EXISTING
    assert "they stay" in untouched.warnings[0]
    rule = {"Id": "new", "Status": "Enabled", "ExpirationInDays": 1}
    lifecycle = {"LifecycleConfiguration": {"Rules": [rule]}}
    [updated] = provision_buckets([{"BucketName": "files"} | lifecycle], store, patience)
    assert updated.outcome is Outcome.UPDATED
    assert store.buckets["files"] == (LifecycleRule("new", enabled=True, days=1),)


def test_properties_without_effect_are_warnings(patience):
    [result] = provision_tables([table(SSESpecification={})], FakeTables(), patience)
    assert result.outcome is Outcome.CREATED
    assert result.warnings == ("SSESpecification: has no effect here",)


def test_a_table_can_be_read_back_as_it_was_parsed():
    assert parse_table(table()).ttl is None
