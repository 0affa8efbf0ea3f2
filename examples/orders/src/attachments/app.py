"""The attachment of an order: any file, put and given back byte for byte."""

from shop.api import Answer, Event, ProblemError, answer, body_bytes, file_answer, header, route
from shop.store import attachment, find_order, s3

LARGEST = 5_000_000


@route
def handler(event: Event) -> Answer:
    """Put or get, by method."""
    order_id = event["pathParameters"]["id"]
    find_order(order_id)
    return put(order_id, event) if event["httpMethod"] == "PUT" else get(order_id)


def put(order_id: str, event: Event) -> Answer:
    """Keep the request's body, and the type it says it has."""
    data = body_bytes(event)
    if len(data) > LARGEST:
        raise ProblemError(413, f"at most {LARGEST} bytes")
    content_type = header(event, "Content-Type", "application/octet-stream")
    s3().put_object(**attachment(order_id), Body=data, ContentType=content_type)
    return answer(200, {"id": order_id, "bytes": len(data), "content_type": content_type})


def get(order_id: str) -> Answer:
    """The file as it was put."""
    try:
        found = s3().get_object(**attachment(order_id))
    except s3().exceptions.NoSuchKey as error:
        raise ProblemError(404, f"order {order_id} has no attachment") from error
    return file_answer(found["Body"].read(), found["ContentType"])
