"""Table and bucket, as functions use them."""

import base64
import os

import boto3
from boto3.dynamodb.conditions import Key


def handler(event, context):
    return globals()[event["do"]](event)


def rows(event):
    """Writes, changes, queries by index, deletes; what was seen on the way."""
    table = boto3.resource("dynamodb").Table(os.environ["RECORDS"])
    kind = event["kind"]
    with table.batch_writer() as batch:
        for number in range(event["count"]):
            batch.put_item(Item={"id": f"{kind}-{number:03}", "kind": kind, "number": number})
    table.update_item(
        Key={"id": f"{kind}-000"},
        UpdateExpression="SET #n = #n + :more",
        ExpressionAttributeNames={"#n": "number"},
        ExpressionAttributeValues={":more": 100},
    )
    found = table.query(IndexName="by-kind", KeyConditionExpression=Key("kind").eq(kind))["Items"]
    try:
        table.put_item(Item={"id": f"{kind}-000"}, ConditionExpression="attribute_not_exists(id)")
        refused = ""
    except table.meta.client.exceptions.ConditionalCheckFailedException as error:
        refused = error.response["Error"]["Code"]
    for item in found:
        table.delete_item(Key={"id": item["id"]})
    left = table.query(IndexName="by-kind", KeyConditionExpression=Key("kind").eq(kind))["Items"]
    numbers = {item["id"]: int(item["number"]) for item in found}
    return {"numbers": numbers, "refused": refused, "left": len(left)}


def objects(event):
    """Writes bytes, lists, reads them back, deletes."""
    s3, bucket, prefix = boto3.client("s3"), os.environ["FILES"], event["prefix"]
    data = base64.b64decode(event["data"])
    s3.put_object(Bucket=bucket, Key=f"{prefix}/one", Body=data, ContentType="image/x-e2e")
    s3.put_object(Bucket=bucket, Key=f"{prefix}/two", Body=b"2", Metadata={"made-by": "store"})
    listed = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    one = s3.get_object(Bucket=bucket, Key=f"{prefix}/one")
    two = s3.head_object(Bucket=bucket, Key=f"{prefix}/two")
    said = {
        "listed": listed,
        "data": base64.b64encode(one["Body"].read()).decode(),
        "type": one["ContentType"],
        "metadata": two["Metadata"],
    }
    if not event.get("keep"):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in listed]})
    return said
