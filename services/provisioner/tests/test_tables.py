import pytest
from artifact_contract.errors import SchemaError
from attrs import evolve
from esb_provisioner.tables import (
    ON_DEMAND,
    PROVISIONED,
    Index,
    Throughput,
    TimeToLive,
    differences,
    new_indexes,
    parse_table,
)

ORDERS = {
    "TableName": "orders",
    "AttributeDefinitions": [
        {"AttributeName": "id", "AttributeType": "S"},
        {"AttributeName": "at", "AttributeType": "N"},
        {"AttributeName": "who", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "id", "KeyType": "HASH"},
        {"AttributeName": "at", "KeyType": "RANGE"},
    ],
    "ProvisionedThroughput": {"ReadCapacityUnits": "5", "WriteCapacityUnits": 1},
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-who",
            "KeySchema": [{"AttributeName": "who", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["total"]},
        }
    ],
    "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
    "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": "true"},
    "Tags": [{"Key": "team", "Value": "shop"}],
}


def problems(properties):
    with pytest.raises(SchemaError) as caught:
        parse_table(properties)
    return [str(problem) for problem in caught.value.problems]


def test_a_table_with_everything_is_read():
    table = parse_table(ORDERS)
    assert (table.name, table.hash_key, table.range_key) == ("orders", "id", "at")
    assert table.billing == PROVISIONED
    assert table.throughput == Throughput(5, 1)
    assert table.global_indexes == (Index("by-who", "who", None, "INCLUDE", ("total",)),)
    assert table.stream == "NEW_IMAGE"
    assert table.ttl == TimeToLive("expires", enabled=True)
    assert table.unapplied == ()


def test_without_billing_and_capacity_a_table_is_on_demand():
    properties = {k: v for k, v in ORDERS.items() if k != "ProvisionedThroughput"}
    assert parse_table(properties).billing == ON_DEMAND


def test_properties_without_effect_are_named():
    table = parse_table(ORDERS | {"SSESpecification": {"SSEEnabled": True}, "TableClass": "STANDARD"})
    assert table.unapplied == ("SSESpecification", "TableClass")


def test_all_problems_of_a_table_are_found_together():
    broken = ORDERS | {
        "ProvisionedThroughput": {"ReadCapacityUnits": "five"},
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "String"}],
        "TimeToLiveSpecification": {"Enabled": "maybe", "AttributeName": "expires"},
    }
    where = "resources.yml: orders: "
    assert sorted(problems(broken)) == sorted(
        [
            where + "AttributeDefinitions[0].AttributeType: expected S or N or B, found 'String'",
            where + "ProvisionedThroughput.ReadCapacityUnits: expected an integer, found 'five'",
            where + "ProvisionedThroughput.WriteCapacityUnits: expected a value, found nothing",
            where + "TimeToLiveSpecification.Enabled: expected true or false, found 'maybe'",
        ]
    )


def test_a_key_without_a_definition_and_a_definition_without_a_key_are_named():
    definitions = [d for d in ORDERS["AttributeDefinitions"] if d["AttributeName"] != "who"]
    broken = ORDERS | {
        "AttributeDefinitions": [*definitions, {"AttributeName": "total", "AttributeType": "N"}]
    }
    assert problems(broken) == [
        "resources.yml: orders: AttributeDefinitions: expected a definition of the key who, found none",
        "resources.yml: orders: AttributeDefinitions: expected keys of the table or of an index only, "
        "found total, which is no key",
    ]


def test_two_hash_keys_are_refused():
    broken = ORDERS | {"KeySchema": [{"AttributeName": n, "KeyType": "HASH"} for n in ("id", "at")]}
    assert problems(broken) == [
        "resources.yml: orders: KeySchema[1].KeyType: expected one HASH key, found another one, at"
    ]


def test_a_range_key_alone_is_refused():
    broken = ORDERS | {"KeySchema": [{"AttributeName": "id", "KeyType": "RANGE"}]}
    assert problems(broken) == ["resources.yml: orders: KeySchema: expected one key of type HASH, found none"]


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        ({"BillingMode": "PROVISIONED", "ProvisionedThroughput": None}, "because BillingMode is PROVISIONED"),
        ({"BillingMode": "PAY_PER_REQUEST"}, "because BillingMode is PAY_PER_REQUEST"),
    ],
)
def test_billing_and_capacity_must_agree(change, fact):
    [problem] = problems(ORDERS | change)
    assert fact in problem


def test_a_table_without_a_name_is_still_named_in_the_message():
    assert problems(ORDERS | {"TableName": None}) == [
        "resources.yml: a table without a name: TableName: expected a value, found nothing"
    ]


def test_a_table_does_not_differ_from_itself():
    table = parse_table(ORDERS)
    assert differences(table, table) == ()
    assert new_indexes(table, table) == ()


def test_differences_are_told_and_a_missing_index_is_none_of_them():
    want = parse_table(ORDERS)
    have = evolve(
        want,
        range_key=None,
        attributes=(("id", "N"),),
        billing=ON_DEMAND,
        throughput=None,
        global_indexes=(Index("by-day", "day", None, "ALL"),),
        stream=None,
    )
    assert differences(want, have) == (
        "KeySchema: wanted id + at, the table has id",
        "AttributeDefinitions: id is N, not S",
        "BillingMode: wanted PROVISIONED, the table has PAY_PER_REQUEST",
        "GlobalSecondaryIndexes: the table has by-day, which the config does not name; it stays",
        "StreamSpecification: wanted NEW_IMAGE, the table has none",
    )
    assert [index.name for index in new_indexes(want, have)] == ["by-who"]
