"""The orders' table and the attachments' bucket; the environment says where they are, as to every AWS SDK."""

import os
from functools import cache
from typing import Any

import boto3

from shop.api import ProblemError

Order = dict[str, Any]


@cache
def table() -> Any:
    """The table of orders."""
    return boto3.resource("dynamodb").Table(os.environ["ORDERS_TABLE"])


@cache
def s3() -> Any:
    """A client for the attachments' bucket."""
    return boto3.client("s3")


def find_order(order_id: str) -> Order:
    """The order, or a 404."""
    found: Order | None = table().get_item(Key={"id": order_id}).get("Item")
    if found is None:
        raise ProblemError(404, f"there is no order {order_id}")
    return found


def delete_order(order_id: str) -> None:
    """Remove an order, its attachment first: an order without its file is better than a file nobody knows."""
    s3().delete_object(**attachment(order_id))
    table().delete_item(Key={"id": order_id})


def attachment(order_id: str) -> dict[str, str]:
    """Where the attachment of an order is, in the words of the S3 client."""
    return {"Bucket": os.environ["ATTACHMENTS_BUCKET"], "Key": os.environ["ATTACHMENTS_PREFIX"] + order_id}
