"""What becomes of an event that did not succeed: when it is tried again, and AWS's record when it is not.

A function's own error is followed by up to `max_retries` more tries, one and two `retry_seconds` later. What
the box could not run (no free worker, agent away) is tried after 1, 2, 4 … seconds, five minutes at most.
Both end when the event is older than `max_age`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson
from artifact_contract.config_sections import function_of
from artifact_contract.config_types import AsyncInvoke
from attrs import frozen

from esb_gateway.workers.invoker import Answer, Call

EXHAUSTED = "RetriesExhausted"
TOO_OLD = "EventAgeExceeded"
MAX_AGE_SECONDS = 6 * 3600.0
MAX_RETRIES = 2
_FIRST_SETBACK = 1.0
_LONGEST_SETBACK = 300.0
_MAX_ANSWER_BYTES = 1024 * 1024  # a longer answer is left out of the record, which is an event itself


@frozen
class Rules:
    """What a function's `async_invoke` says; `on_failure` is a function's name, or empty."""

    max_age: float = MAX_AGE_SECONDS
    max_retries: int = MAX_RETRIES
    on_failure: str = ""


def rules_of(written: AsyncInvoke) -> Rules:
    """Return what a function's config says, with AWS's defaults where it is silent."""
    return Rules(
        max_age=MAX_AGE_SECONDS if written.max_age is None else float(written.max_age),
        max_retries=MAX_RETRIES if written.max_retries is None else written.max_retries,
        on_failure=function_of(written.on_failure) or "",
    )


def setback_pause(setbacks: int) -> float:
    """Return the seconds to wait after so many failures of the box in a row."""
    return float(min(_FIRST_SETBACK * 2 ** min(setbacks - 1, 20), _LONGEST_SETBACK))


def kept_answer(answer: Answer | None) -> bytes | None:
    """Return what of the last answer goes into records and dead letters."""
    return None if answer is None or len(answer.body) > _MAX_ANSWER_BYTES else answer.body


def destination_record(
    call: Call, arn: str, condition: str, *, attempts: int, answer: Answer | None, now: float
) -> bytes:
    """Return the event that an on-failure destination gets, as AWS words it (schema version 1.0).

    Events that never reached their function have no `responseContext` and no `responsePayload`.
    """
    stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": stamp,
        "requestContext": {
            "requestId": call.request_id,
            "functionArn": arn,
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": _carried(call.body),
    }
    if answer is not None:
        record["responseContext"] = {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": answer.function_error,
        }
        kept = kept_answer(answer)
        record["responsePayload"] = None if kept is None else _carried(kept)
    return orjson.dumps(record)


def _carried(body: bytes) -> orjson.Fragment | str:
    """JSON as it stands, digit by digit, or the text of what is none. Python's reader takes more."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "replace")
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return text
        return orjson.Fragment(text)
    return orjson.Fragment(body)
