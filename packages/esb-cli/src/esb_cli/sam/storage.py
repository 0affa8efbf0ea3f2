"""Tables and buckets, in the shape CloudFormation gives them (contract §9), every leaf of the right type."""

import re

from artifact_contract.nodes import quote

from esb_cli.sam.properties import Properties, of_fields, of_resource
from esb_cli.sam.resolve import Resolution
from esb_cli.sam.template import Resource
from esb_cli.sam.values import Fields, Items, Text, Unknown, Value, describe
from esb_cli.spec_model import BucketSpec, TableSpec, Where

__all__ = ["read_bucket", "read_simple_table", "read_table"]

Json = str | int | bool | list["Json"] | dict[str, "Json"]

_TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}\Z")
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_TABLE_KEYS = (
    *("AttributeDefinitions", "KeySchema", "BillingMode", "ProvisionedThroughput", "GlobalSecondaryIndexes"),
    *("LocalSecondaryIndexes", "TimeToLiveSpecification"),
)
# CloudFormation takes "5" for 5; the services behind a box don't
_INTEGERS = frozenset(
    (
        *(
            "ReadCapacityUnits",
            "WriteCapacityUnits",
            "ExpirationInDays",
            "TransitionInDays",
            "NoncurrentDays",
        ),
        *("NoncurrentVersionExpirationInDays", "DaysAfterInitiation", "NewerNoncurrentVersions"),
    )
)
_FLAGS = frozenset({"Enabled", "ExpiredObjectDeleteMarker"})
_ATTRIBUTE_TYPES = {"String": "S", "Number": "N", "Binary": "B"}


def read_table(resource: Resource, resolution: Resolution) -> TableSpec:
    """A DynamoDB table: its keys, indexes, throughput and time to live."""
    props = of_resource(resource, resolution)
    name = _name(resource, props, "TableName", _TABLE_NAME, "3 to 255 letters, digits, _, - and .")
    shaped: dict[str, Json] = {"TableName": name}
    for key in _TABLE_KEYS:
        value = props.value(key)
        if value is not None:
            shaped[key] = _shape(key, value, props, key)
        elif key in {"AttributeDefinitions", "KeySchema"}:
            props.wrong(key, "a list", "nothing")
    props.finish(resource.type)
    return TableSpec(name, shaped, resource.logical_id, Where(resolution.report.file, resource.line))


def read_simple_table(resource: Resource, resolution: Resolution) -> TableSpec:
    """A table with one key, `id` when the template says nothing else."""
    props = of_resource(resource, resolution)
    name = _name(resource, props, "TableName", _TABLE_NAME, "3 to 255 letters, digits, _, - and .")
    key = props.child("PrimaryKey")
    attribute = (key.text("Name") if key else None) or Text("id")
    kind = (key.text("Type") if key else None) or Text("String")
    if key is not None:
        if kind.text not in _ATTRIBUTE_TYPES:
            key.wrong("Type", "String, Number or Binary", quote(kind.text), at=kind)
        key.finish("PrimaryKey")
    shaped: dict[str, Json] = {
        "TableName": name,
        "AttributeDefinitions": [
            {"AttributeName": attribute.text, "AttributeType": _ATTRIBUTE_TYPES.get(kind.text, "S")}
        ],
        "KeySchema": [{"AttributeName": attribute.text, "KeyType": "HASH"}],
    }
    throughput = props.value("ProvisionedThroughput")
    if throughput is None:
        shaped["BillingMode"] = "PAY_PER_REQUEST"
    else:
        shaped["ProvisionedThroughput"] = _shape(
            "ProvisionedThroughput", throughput, props, "ProvisionedThroughput"
        )
    props.finish(resource.type)
    return TableSpec(name, shaped, resource.logical_id, Where(resolution.report.file, resource.line))


def read_bucket(resource: Resource, resolution: Resolution) -> BucketSpec:
    """An S3 bucket with its lifecycle."""
    props = of_resource(resource, resolution)
    name = _name(resource, props, "BucketName", _BUCKET_NAME, "3 to 63 of a-z, 0-9, - and .")
    shaped: dict[str, Json] = {"BucketName": name}
    lifecycle = props.value("LifecycleConfiguration")
    if lifecycle is not None:
        shaped["LifecycleConfiguration"] = _shape(
            "LifecycleConfiguration", lifecycle, props, "LifecycleConfiguration"
        )
    access = props.text("AccessControl") if "AccessControl" in props else None
    if access is not None and access.text != "Private":
        props.lose(f"its access control list {access.text}", access)
    props.finish(resource.type)
    return BucketSpec(name, shaped, resource.logical_id, Where(resolution.report.file, resource.line))


def _name(resource: Resource, props: Properties, key: str, rule: re.Pattern[str], expected: str) -> str:
    props.text(key)  # reports what isn't text
    name = props.resolution.references.name_of(resource, props.spot)
    if not isinstance(name, Text):
        return resource.logical_id
    if not rule.match(name.text):
        props.wrong(key, expected, quote(name.text))
    return name.text


def _shape(key: str, value: Value, props: Properties, path: str) -> Json:
    """A value as plain JSON. `key` decides the type of a leaf: CloudFormation has one for each."""
    match value:
        case Items():
            return [_shape(key, item, props, f"{path}[{i}]") for i, item in enumerate(value.items)]
        case Fields():
            inner = of_fields(value, path, props)
            return {name: _shape(name, item, inner, f"{path}.{name}") for name, item in value.items.items()}
        case Unknown():
            if not value.reported:
                props.wrong(path, "a value known when rendering", value.reason, at=value)
            return ""
        case Text():
            return _leaf(key, value, props, path)


def _leaf(key: str, value: Text, props: Properties, path: str) -> Json:
    if key in _INTEGERS:
        if re.fullmatch(r"[0-9]{1,12}", value.text):
            return int(value.text)
        props.wrong(path, "a whole number", describe(value), at=value)
    elif key in _FLAGS:
        if value.text.lower() in {"true", "false"}:
            return value.text.lower() == "true"
        props.wrong(path, "true or false", describe(value), at=value)
    return value.text
