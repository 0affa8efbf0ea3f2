"""What the Lambda API answers: results, and errors in AWS's JSON form."""

from __future__ import annotations

import orjson
from attrs import define

from esb_gateway.errors import CallError, lambda_error
from esb_gateway.http_messages import Header, Response

JSON: Header = (b"content-type", b"application/json")
LATEST: Header = (b"x-amz-executed-version", b"$LATEST")


@define
class Reply(Response):
    """What goes back; `error` is for the log."""

    error: str | None = None


def json_reply(content: dict[str, object]) -> Reply:
    """Answer a query."""
    return Reply(200, [JSON], orjson.dumps(content))


def error_reply(error: CallError) -> Reply:
    """Answer an error, so that SDKs make their typed exceptions of it."""
    row = lambda_error(error)
    body: dict[str, str] = {"Type": row.fault, row.text_key: str(error)}
    headers = [JSON, (b"x-amzn-errortype", row.code.encode("ascii"))]
    if row.reason is not None:
        body["Reason"] = row.reason
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    return Reply(row.status, headers, orjson.dumps(body), error=f"{row.code}: {error}")
