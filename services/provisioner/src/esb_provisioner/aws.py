"""The stores behind boto3: the only module that imports it.

boto3's own retries are off: `retry.py` owns patience, with one deadline for the whole run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

from esb_provisioner import settings
from esb_provisioner.buckets import LifecycleRule
from esb_provisioner.errors import StoreError, StoreUnreachableError
from esb_provisioner.lifecycle import from_s3, to_s3
from esb_provisioner.tables import ON_DEMAND, PROVISIONED, Index, Table, Throughput, TimeToLive

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")
Shape = dict[str, Any]  # boto3's request and response bodies

_CONNECT_SECONDS = 2.0
_READ_SECONDS = 30.0
_ACTIVE_POLL: Any = {"Delay": 1, "MaxAttempts": 120}
_INDEX_POLLS = 120
_NOT_NOW = frozenset(
    {"ServiceUnavailable", "SlowDown", "ThrottlingException", "InternalError", "InternalServerError"}
)


@frozen
class DynamoTables:
    """`TableStore` over a DynamoDB client; `sleep` waits for an index that is being built."""

    client: DynamoDBClient
    sleep: Callable[[float], None]

    def find(self, name: str) -> Table | None:
        """The table as it exists; see `TableStore`."""
        answer = _ask(
            lambda: self.client.describe_table(TableName=name), missing={"ResourceNotFoundException"}
        )
        return None if answer is None else _table(answer["Table"])

    def create(self, table: Table) -> None:
        """Make the table; one that exists by now (a lost answer is asked for again) is waited for."""
        _ask(lambda: self.client.create_table(**_creation(table)), missing={"ResourceInUseException"})
        _ask(
            lambda: self.client.get_waiter("table_exists").wait(
                TableName=table.name, WaiterConfig=_ACTIVE_POLL
            )
        )

    def add_index(self, table: Table, index: Index) -> None:
        """Add a global index; see `TableStore`."""
        creation = _index(index, table)
        _ask(
            lambda: self.client.update_table(
                TableName=table.name,
                AttributeDefinitions=_attributes(table),
                GlobalSecondaryIndexUpdates=[{"Create": creation}],
            )
        )
        for _ in range(_INDEX_POLLS):  # a store builds one index at a time and refuses the next until then
            if self._index_active(table.name, index.name):
                return
            self.sleep(1.0)
        raise StoreError(f"the index {index.name} is still being built after {_INDEX_POLLS} s")

    def _index_active(self, table: str, index: str) -> bool:
        answer = _ask(lambda: self.client.describe_table(TableName=table))
        indexes = answer["Table"].get("GlobalSecondaryIndexes", ()) if answer else ()
        return any(i["IndexName"] == index and i.get("IndexStatus", "ACTIVE") == "ACTIVE" for i in indexes)

    def ttl(self, name: str) -> TimeToLive | None:
        """The time to live in force; see `TableStore`."""
        answer = _ask(lambda: self.client.describe_time_to_live(TableName=name))
        found = answer["TimeToLiveDescription"] if answer else {}
        if "AttributeName" not in found:
            return None
        return TimeToLive(found["AttributeName"], found.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"})

    def set_ttl(self, name: str, ttl: TimeToLive) -> None:
        """Switch expiry; see `TableStore`."""
        spec: Any = {"AttributeName": ttl.attribute, "Enabled": ttl.enabled}
        _ask(lambda: self.client.update_time_to_live(TableName=name, TimeToLiveSpecification=spec))


@frozen
class S3Buckets:
    """`BucketStore` over an S3 client."""

    client: S3Client
    region: str

    def exists(self, name: str) -> bool:
        """Whether the bucket is there; see `BucketStore`."""
        return _ask(lambda: self.client.head_bucket(Bucket=name), missing={"404", "NoSuchBucket"}) is not None

    def create(self, name: str) -> None:
        """Make the bucket in the region of the account; us-east-1 may not be named, the API says."""
        place = {} if self.region == settings.DEFAULT_REGION else {"LocationConstraint": self.region}
        more: Shape = {"CreateBucketConfiguration": place} if place else {}
        _ask(lambda: self.client.create_bucket(Bucket=name, **more), missing={"BucketAlreadyOwnedByYou"})

    def rules(self, name: str) -> tuple[LifecycleRule, ...]:
        """The lifecycle rules in force; see `BucketStore`."""
        missing = {"NoSuchLifecycleConfiguration"}
        answer = _ask(lambda: self.client.get_bucket_lifecycle_configuration(Bucket=name), missing=missing)
        return tuple(from_s3(rule) for rule in answer["Rules"]) if answer else ()

    def set_rules(self, name: str, rules: tuple[LifecycleRule, ...]) -> None:
        """Put these lifecycle rules in force; see `BucketStore`."""
        lifecycle: Any = {"Rules": [to_s3(rule) for rule in rules]}
        _ask(
            lambda: self.client.put_bucket_lifecycle_configuration(
                Bucket=name, LifecycleConfiguration=lifecycle
            )
        )


def connect(service: str, account: settings.Account, endpoint: str) -> Any:
    """A client for "dynamodb" or "s3" at an endpoint, without retries of its own."""
    import boto3  # noqa: PLC0415 - 0.3 s to import; a config without resources needs none of it
    from botocore.config import Config  # noqa: PLC0415 - the same

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},  # a bucket's name is no host name on a box
        request_checksum_calculation="when_required",  # older S3-compatible stores refuse the newer trailers
        response_checksum_validation="when_required",
    )
    session = boto3.session.Session(
        aws_access_key_id=account.access_key,
        aws_secret_access_key=account.secret_key,
        aws_session_token=account.session_token,
        region_name=account.region,
    )
    return session.client(service, endpoint_url=endpoint, config=config)  # type: ignore[call-overload]  # the service is data


def _ask(call: Callable[[], T], *, missing: frozenset[str] | set[str] = frozenset()) -> T | None:
    """The answer; None for an error code in `missing`.

    Raises:
        StoreUnreachableError: no answer, or one that means "not now".
        StoreError: the store refused.
    """
    from botocore import exceptions  # noqa: PLC0415 - loaded with the client already

    try:
        return call()
    except exceptions.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in missing:
            return None
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        kind = StoreUnreachableError if code in _NOT_NOW or status in {502, 503, 504} else StoreError
        raise kind(str(error)) from error
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        raise StoreUnreachableError(str(error)) from error
    except exceptions.NoCredentialsError as error:
        raise StoreError(
            "no keys to call it with: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except exceptions.BotoCoreError as error:
        raise StoreError(str(error)) from error


def _creation(table: Table) -> Shape:
    shape: Shape = {
        "TableName": table.name,
        "AttributeDefinitions": _attributes(table),
        "KeySchema": _keys(table.hash_key, table.range_key),
        "BillingMode": table.billing,
    }
    if table.throughput:
        shape["ProvisionedThroughput"] = _units(table.throughput)
    if table.global_indexes:
        shape["GlobalSecondaryIndexes"] = [_index(index, table) for index in table.global_indexes]
    if table.local_indexes:
        shape["LocalSecondaryIndexes"] = [_index(index, None) for index in table.local_indexes]
    if table.stream:
        shape["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": table.stream}
    return shape


def _attributes(table: Table) -> list[Any]:
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in table.attributes]


def _keys(hash_key: str, range_key: str | None) -> list[Any]:
    keys = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    return [*keys, {"AttributeName": range_key, "KeyType": "RANGE"}] if range_key else keys


def _index(index: Index, table: Table | None) -> Any:
    """A global index of a table with reserved capacity has capacity of its own: by default the table's."""
    projection: Shape = {"ProjectionType": index.projection}
    if index.projected:
        projection["NonKeyAttributes"] = list(index.projected)
    shape = {
        "IndexName": index.name,
        "KeySchema": _keys(index.hash_key, index.range_key),
        "Projection": projection,
    }
    units = (index.throughput or table.throughput) if table and table.billing == PROVISIONED else None
    return {**shape, "ProvisionedThroughput": _units(units)} if units else shape


def _units(throughput: Throughput) -> Shape:
    return {"ReadCapacityUnits": throughput.read, "WriteCapacityUnits": throughput.write}


def _table(shape: Mapping[str, Any]) -> Table:
    hash_key, range_key = _key_names(shape["KeySchema"])
    billing = shape.get("BillingModeSummary", {}).get("BillingMode") or PROVISIONED
    return Table(
        name=shape["TableName"],
        hash_key=hash_key,
        range_key=range_key,
        attributes=tuple((a["AttributeName"], a["AttributeType"]) for a in shape["AttributeDefinitions"]),
        billing=billing,
        throughput=None if billing == ON_DEMAND else _throughput(shape),
        global_indexes=tuple(_index_of(item) for item in shape.get("GlobalSecondaryIndexes") or ()),
        local_indexes=tuple(_index_of(item) for item in shape.get("LocalSecondaryIndexes") or ()),
        stream=(shape.get("StreamSpecification") or {}).get("StreamViewType"),
    )


def _index_of(shape: Mapping[str, Any]) -> Index:
    hash_key, range_key = _key_names(shape["KeySchema"])
    projection = shape.get("Projection") or {}
    return Index(
        name=shape["IndexName"],
        hash_key=hash_key,
        range_key=range_key,
        projection=projection.get("ProjectionType", "ALL"),
        projected=tuple(projection.get("NonKeyAttributes") or ()),
    )


def _key_names(schema: list[Mapping[str, str]]) -> tuple[str, str | None]:
    kinds = {key["KeyType"]: key["AttributeName"] for key in schema}
    return kinds["HASH"], kinds.get("RANGE")


def _throughput(shape: Mapping[str, Any]) -> Throughput | None:
    units = shape.get("ProvisionedThroughput") or {}
    read, write = units.get("ReadCapacityUnits", 0), units.get("WriteCapacityUnits", 0)
    return Throughput(read, write) if read and write else None
