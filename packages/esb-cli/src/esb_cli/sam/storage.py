"""Tables and buckets, in the shape CloudFormation gives them (contract §9), every leaf of the right type."""

import re

from artifact_contract.nodes import quote

from esb_cli.sam.properties import Properties, is_nothing, of_fields, of_resource
from esb_cli.sam.resolve import Resolution
from esb_cli.sam.template import Resource
from esb_cli.sam.values import Fields, Items, Text, Unknown, Value, describe
from esb_cli.spec_model import BucketSpec, TableSpec, Where

__all__ = ["read_bucket", "read_simple_table", "read_table"]

Json = str | int | bool | list["Json"] | dict[str, "Json"]

_TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}\Z")
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
# What CloudFormation has in a property: a type, one of some texts, a list of one shape, or named parts;
# those with ! have to be there. Types matter: it takes "5" for 5, and the services behind a box don't.
Shape = type[str] | type[int] | type[bool] | tuple[str, ...] | list["Shape"] | dict[str, "Shape"]
_KEY_SCHEMA: Shape = [{"AttributeName!": str, "KeyType!": ("HASH", "RANGE")}]
_THROUGHPUT: Shape = {"ReadCapacityUnits!": int, "WriteCapacityUnits!": int}
_LOCAL_INDEX: dict[str, Shape] = {
    "IndexName!": str,
    "KeySchema!": _KEY_SCHEMA,
    "Projection!": {"ProjectionType": ("ALL", "INCLUDE", "KEYS_ONLY"), "NonKeyAttributes": [str]},
}
_TABLE: dict[str, Shape] = {
    "AttributeDefinitions!": [{"AttributeName!": str, "AttributeType!": ("S", "N", "B")}],
    "KeySchema!": _KEY_SCHEMA,
    "BillingMode": ("PAY_PER_REQUEST", "PROVISIONED"),
    "ProvisionedThroughput": _THROUGHPUT,
    "GlobalSecondaryIndexes": [{**_LOCAL_INDEX, "ProvisionedThroughput": _THROUGHPUT}],
    "LocalSecondaryIndexes": [_LOCAL_INDEX],
    "TimeToLiveSpecification": {"AttributeName": str, "Enabled!": bool},
}
_TRANSITION: Shape = {
    "StorageClass!": str,
    "TransitionInDays": int,
    "TransitionDate": str,
    "NewerNoncurrentVersions": int,
}
_RULE: Shape = {
    "Id": str,
    "Status!": ("Disabled", "Enabled"),
    "Prefix": str,
    "TagFilters": [{"Key!": str, "Value!": str}],
    "ObjectSizeGreaterThan": int,
    "ObjectSizeLessThan": int,
    "ExpirationInDays": int,
    "ExpirationDate": str,
    "ExpiredObjectDeleteMarker": bool,
    "NoncurrentVersionExpiration": {"NoncurrentDays!": int, "NewerNoncurrentVersions": int},
    "NoncurrentVersionExpirationInDays": int,
    "Transition": _TRANSITION,
    "Transitions": [_TRANSITION],
    "NoncurrentVersionTransition": _TRANSITION,
    "NoncurrentVersionTransitions": [_TRANSITION],
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation!": int},
}
_BUCKET: dict[str, Shape] = {"LifecycleConfiguration": {"Rules!": [_RULE]}}
_ATTRIBUTE_TYPES = {"String": "S", "Number": "N", "Binary": "B"}


def read_table(resource: Resource, resolution: Resolution) -> TableSpec:
    """A DynamoDB table: its keys, indexes, throughput and time to live."""
    props = of_resource(resource, resolution)
    name = _name(resource, props, "TableName", _TABLE_NAME, "3 to 255 letters, digits, _, - and .")
    shaped: dict[str, Json] = {"TableName": name}
    shaped |= _parts(props, _TABLE)
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
    shaped |= _parts(props, {"ProvisionedThroughput": _THROUGHPUT}) or {"BillingMode": "PAY_PER_REQUEST"}
    props.finish(resource.type)
    return TableSpec(name, shaped, resource.logical_id, Where(resolution.report.file, resource.line))


def read_bucket(resource: Resource, resolution: Resolution) -> BucketSpec:
    """An S3 bucket with its lifecycle."""
    props = of_resource(resource, resolution)
    name = _name(resource, props, "BucketName", _BUCKET_NAME, "3 to 63 of a-z, 0-9, - and .")
    shaped: dict[str, Json] = {"BucketName": name}
    shaped |= _parts(props, _BUCKET)
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


def _parts(props: Properties, shapes: dict[str, Shape]) -> dict[str, Json]:
    """The parts of a construct that have a shape, in the order of the shapes."""
    parts: dict[str, Json] = {}
    for key, shape in shapes.items():
        name = key.removesuffix("!")
        value = props.value(name)
        if value is not None:
            parts[name] = _shaped(value, shape, props, name)
        elif key.endswith("!"):
            props.wrong(name, _expected(shape), "nothing")
    return parts


def _shaped(value: Value, shape: Shape, props: Properties, name: str) -> Json:
    """A value as the JSON that its shape allows; what doesn't fit is reported and left out."""
    match shape, value:
        case dict(), Fields():
            inner = of_fields(value, props.where(name), props, f"{props.title}{name}: ")
            parts = _parts(inner, shape)
            inner.finish(re.sub(r"\[.*", "", name))
            return parts
        case list(), Items():
            pairs = enumerate(value.items)
            return [_shaped(item, shape[0], props, f"{name}[{i}]") for i, item in pairs]
        case _, Text() if not isinstance(shape, dict | list) and not is_nothing(value):
            return _leaf(value, shape, props, name)
        case _, Unknown(reported=True):
            return ""
        case _, Unknown():
            props.wrong(name, "a value known when rendering", value.reason, at=value)
        case _:
            props.wrong(name, _expected(shape), "nothing" if is_nothing(value) else describe(value), at=value)
    return ""


def _leaf(value: Text, shape: Shape, props: Properties, name: str) -> Json:
    lower = value.text.lower()
    if shape is int and re.fullmatch(r"[0-9]{1,12}", value.text):
        return int(value.text)
    if shape is bool and lower in {"true", "false"}:
        return lower == "true"
    if shape is not str and not (isinstance(shape, tuple) and value.text in shape):
        props.wrong(name, _expected(shape), describe(value), at=value)
    return value.text


def _expected(shape: Shape) -> str:
    if isinstance(shape, tuple):
        return " or ".join(shape)
    kinds = {str: "text", int: "a whole number", bool: "true or false"}
    return "a mapping" if isinstance(shape, dict) else "a list" if isinstance(shape, list) else kinds[shape]
