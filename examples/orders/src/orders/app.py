"""Orders: create, list, show, delete."""

import json
import os
import time
from functools import cache
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key
from shop.api import Answer, Event, ProblemError, answer, body_json, query, route
from shop.store import delete_order, find_order, table
from ulid import ULID

DAY = 24 * 60 * 60
MOST_LISTED = 100


@route
def handler(event: Event) -> Answer:
    """The routes of the template, by method and path."""
    match event["httpMethod"], event["resource"]:
        case "POST", "/orders":
            return create(event)
        case "GET", "/orders":
            return answer(200, {"orders": list_orders(query(event, "customer"))})
        case "GET", "/orders/{id}":
            return answer(200, find_order(event["pathParameters"]["id"]))
        case "DELETE", "/orders/{id}":
            find_order(event["pathParameters"]["id"])
            delete_order(event["pathParameters"]["id"])
            return answer(204)
    raise ProblemError(405, "no such route")


def create(event: Event) -> Answer:
    """A new order: priced by another function, with an id that sorts by time."""
    wanted = body_json(event)
    customer, items = wanted.get("customer"), wanted.get("items")
    if not isinstance(customer, str) or not customer:
        raise ProblemError(400, "customer: a name is missing")
    now = int(time.time())
    order = {
        "id": str(ULID()),
        "customer": customer,
        "created_at": now,
        "expires_at": now + keep_days(wanted) * DAY,
        **price(items),
    }
    table().put_item(Item=order)
    return answer(201, order)


def list_orders(customer: str | None) -> list[dict[str, Any]]:
    """The latest orders, of one customer or of all, newest first."""
    if customer:
        found = table().query(
            IndexName="by-customer",
            KeyConditionExpression=Key("customer").eq(customer),
            ScanIndexForward=False,
            Limit=MOST_LISTED,
        )
        return list(found["Items"])
    return sorted(table().scan(Limit=MOST_LISTED)["Items"], key=lambda order: order["id"], reverse=True)


def keep_days(wanted: dict[str, Any]) -> int:
    """How long the order is kept: as the template says, or less if the customer wants so."""
    most = int(os.environ["KEEP_DAYS"])
    days = wanted.get("keep_days", most)
    if not isinstance(days, int) or not 0 <= days <= most:
        raise ProblemError(400, f"keep_days: a whole number from 0 to {most}")
    return days


def price(items: Any) -> dict[str, Any]:
    """What the items cost: asked of the function that knows."""
    reply = functions().invoke(
        FunctionName=os.environ["PRICE_FUNCTION"], Payload=json.dumps({"items": items})
    )
    result = json.loads(reply["Payload"].read())
    if "FunctionError" in reply:
        raise RuntimeError(f"pricing failed: {result.get('errorMessage')}")
    if "problem" in result:
        raise ProblemError(400, result["problem"])
    return dict(result)


@cache
def functions() -> Any:
    """A client that invokes functions."""
    return boto3.client("lambda")
