"""Prices: what the items of an order cost. Called by other functions, not over HTTP."""

import os
from typing import Any

CENTS = {"coffee": 1290, "tea": 890, "cup": 650, "grinder": 8900}
DISCOUNT_FROM = 10


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """The priced items and the total in cents; or, in `problem`, what is wrong with the items."""
    items = event.get("items")
    if not isinstance(items, list) or not items:
        return {"problem": "items: a list with at least one item"}
    try:
        priced = [price(item) for item in items]
    except ValueError as error:
        return {"problem": str(error)}
    return {"items": priced, "total_cents": sum(item["cents"] for item in priced)}


def price(item: Any) -> dict[str, Any]:
    """One item with what all its pieces cost together."""
    article, pieces = (item.get("article"), item.get("pieces", 1)) if isinstance(item, dict) else (None, 0)
    if article not in CENTS:
        raise ValueError(f"article: one of {', '.join(sorted(CENTS))}")
    if not isinstance(pieces, int) or pieces < 1:
        raise ValueError(f"pieces of {article}: a whole number from 1")
    cents = CENTS[article] * pieces
    if pieces >= DISCOUNT_FROM:
        cents -= cents * int(os.environ["DISCOUNT_PERCENT"]) // 100
    return {"article": article, "pieces": pieces, "cents": cents}
