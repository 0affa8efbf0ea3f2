import socket

import pytest
from attrs import evolve
from esb_provisioner import settings
from esb_provisioner.aws import DynamoTables, S3Buckets, connect
from esb_provisioner.buckets import parse_bucket
from esb_provisioner.errors import StoreError, StoreUnreachableError
from esb_provisioner.tables import Index, TimeToLive, differences, new_indexes, parse_table

KEYS = settings.Account("us-east-1", "test", "test")

ORDERS = parse_table(
    {
        "TableName": "orders",
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("id", "at", "who")],
        "KeySchema": [
            {"AttributeName": "id", "KeyType": "HASH"},
            {"AttributeName": "at", "KeyType": "RANGE"},
        ],
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "by-who",
                "KeySchema": [{"AttributeName": "who", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["total"]},
            }
        ],
        "LocalSecondaryIndexes": [
            {
                "IndexName": "local",
                "KeySchema": [
                    {"AttributeName": "id", "KeyType": "HASH"},
                    {"AttributeName": "who", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        "StreamSpecification": {"StreamViewType": "NEW_IMAGE"},
    }
)


@pytest.fixture
def tables(box_env):
    return DynamoTables(connect("dynamodb", KEYS, box_env["AWS_ENDPOINT_URL"]), lambda _: None)


@pytest.fixture
def buckets(box_env):
    return S3Buckets(connect("s3", KEYS, box_env["AWS_ENDPOINT_URL"]), "us-east-1")


def test_a_table_is_made_as_asked(tables):
    assert tables.find("orders") is None
    tables.create(ORDERS)
    assert differences(ORDERS, tables.find("orders")) == ()
    assert new_indexes(ORDERS, tables.find("orders")) == ()


def test_reserved_capacity_holds_for_indexes_too(tables):
    reserved = parse_table(
        {
            "TableName": "reserved",
            "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("id", "who")],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "ProvisionedThroughput": {"ReadCapacityUnits": "5", "WriteCapacityUnits": "6"},
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "by-who",
                    "KeySchema": [{"AttributeName": "who", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        }
    )
    tables.create(reserved)
    assert differences(reserved, tables.find("reserved")) == ()


def test_an_index_is_added_to_a_table_that_holds_items(tables):
    tables.create(evolve(ORDERS, global_indexes=(), name="grown"))
    tables.client.put_item(TableName="grown", Item={n: {"S": "1"} for n in ("id", "at", "who")})
    tables.add_index(evolve(ORDERS, name="grown"), Index("by-who", "who", None, "ALL"))
    found = tables.find("grown")
    assert [index.name for index in found.global_indexes] == ["by-who"]
    assert tables.client.scan(TableName="grown")["Count"] == 1


def test_expiry_is_switched_on_and_off(tables):
    tables.create(evolve(ORDERS, name="timed"))
    assert tables.ttl("timed") is None
    tables.set_ttl("timed", TimeToLive("expires", enabled=True))
    assert tables.ttl("timed") == TimeToLive("expires", enabled=True)
    tables.set_ttl("timed", TimeToLive("expires", enabled=False))
    found = tables.ttl("timed")
    assert found is None or not found.enabled


def test_a_refusal_carries_the_answer_of_the_store(tables):
    with pytest.raises(StoreError, match=r"UpdateTimeToLive operation.*Table not found"):
        tables.set_ttl("nobody", TimeToLive("expires", enabled=True))


def test_a_bucket_is_made_and_its_rules_read_back_as_set(buckets):
    assert not buckets.exists("files")
    buckets.create("files")
    assert buckets.exists("files")
    assert buckets.rules("files") == ()
    rules = parse_bucket(
        {
            "BucketName": "files",
            "LifecycleConfiguration": {
                "Rules": [
                    {"Status": "Enabled", "ExpirationInDays": "30", "Prefix": "tmp/"},
                    {"Status": "Disabled", "ExpirationDate": "2030-01-31", "Id": "by-date"},
                    {
                        "Status": "Enabled",
                        "TagFilters": [{"Key": "k", "Value": "v"}, {"Key": "l", "Value": "w"}],
                        "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 1}],
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 2},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
                    },
                ]
            },
        }
    ).rules
    buckets.set_rules("files", rules)
    assert buckets.rules("files") == rules


def test_a_bucket_outside_the_first_region_says_where(box_env):
    account = settings.Account("eu-west-1", "test", "test")
    store = S3Buckets(connect("s3", account, box_env["AWS_ENDPOINT_URL"]), "eu-west-1")
    store.create("abroad")
    assert store.exists("abroad")


def test_nobody_at_the_endpoint_is_unreachable():
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        store = DynamoTables(connect("dynamodb", KEYS, url), lambda _: None)
        with pytest.raises(StoreUnreachableError):
            store.find("orders")


def test_a_table_whose_first_answer_was_lost_is_there_the_second_time(tables):
    tables.create(ORDERS)
    tables.create(ORDERS)
    assert differences(ORDERS, tables.find("orders")) == ()


def test_a_call_without_keys_says_which_variables_hold_them(box_env, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, box_env[name])
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = connect("dynamodb", settings.Account("us-east-1"), box_env["AWS_ENDPOINT_URL"])
    with pytest.raises(StoreError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        DynamoTables(client, lambda _: None).find("orders")
