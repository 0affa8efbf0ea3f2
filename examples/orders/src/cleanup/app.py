"""The clean-up: orders whose time is over go, with their attachments. Called by a schedule."""

import time
from typing import Any

from boto3.dynamodb.conditions import Attr
from shop.store import delete_order, table


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Remove what has expired; says what it removed."""
    removed = []
    for order_id in expired(int(time.time())):
        delete_order(order_id)
        removed.append(order_id)
    print(f"clean-up ({event.get('reason', 'no reason given')}): removed {len(removed)} orders")
    return {"removed": removed}


def expired(now: int) -> list[str]:
    """The ids of all orders that expired, page by page."""
    found: list[str] = []
    page: dict[str, Any] = {}
    while True:
        answer = table().scan(FilterExpression=Attr("expires_at").lte(now), ProjectionExpression="id", **page)
        found += [item["id"] for item in answer["Items"]]
        if "LastEvaluatedKey" not in answer:
            return found
        page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
