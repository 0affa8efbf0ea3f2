"""`InvokeWithResponseStream`: the answer as an event stream.

Python's runtime client has no way to send an answer in parts, so the whole of it is there before the stream
begins: it comes in chunks, one after the other, then `InvokeComplete`. What AWS says before its stream begins
(no such function, throttled, a payload too large) is an error of the usual form here as well.
"""

from __future__ import annotations

import orjson

from esb_gateway.front import Front
from esb_gateway.http_messages import Header
from esb_gateway.lambda_api.event_stream import event, payload_chunks
from esb_gateway.lambda_api.function_names import FunctionName
from esb_gateway.lambda_api.invoke import DRY_RUN, SYNC, invocation_type, read_call, target_of
from esb_gateway.lambda_api.replies import LATEST, Reply
from esb_gateway.lambda_api.request import ApiRequest
from esb_gateway.workers.invoker import Answer

_EVENT_STREAM: Header = (b"content-type", b"application/vnd.amazon.eventstream")


class InvokeWithResponseStream:
    """The operation."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def __call__(self, request: ApiRequest, named: FunctionName) -> Reply:
        """Call the function and answer its payload as a stream."""
        target = target_of(self._front.served.current, named)
        kind = invocation_type(request, (SYNC, DRY_RUN))
        call = await read_call(request, kind)
        if kind == DRY_RUN:
            return Reply(204, [], b"")
        answer = await self._front.invoker.invoke(target, call, qualifier=named.qualifier)
        return Reply(200, [_EVENT_STREAM, LATEST], encode_answer(answer), error=answer.function_error)


def encode_answer(answer: Answer) -> bytes:
    """Return the whole stream; a function's error stands in `InvokeComplete` and nowhere else."""
    complete: dict[str, str] = {}
    body = answer.body
    if answer.function_error is not None:
        complete = {"ErrorCode": answer.function_error, "ErrorDetails": body.decode("utf-8", "replace")}
        body = b""
    if answer.log_result is not None:
        complete["LogResult"] = answer.log_result
    return b"".join(
        (*payload_chunks(body), event("InvokeComplete", "application/json", orjson.dumps(complete)))
    )
