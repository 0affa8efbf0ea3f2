"""`/events/dead-letters`: events given up, to be looked at, tried again, or deleted. Behind the admin gate.

    GET    /events/dead-letters?limit&marker&function        DELETE /events/dead-letters/{id}
    GET    /events/dead-letters/{id}                         POST   /events/dead-letters/{id}/replay
    POST   /events/dead-letters/replay?function

Payloads, answers and errors may hold secrets: only the look at a single one shows them.
"""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from urllib.parse import parse_qs

import orjson
from attrs import frozen
from starlette.types import Receive, Scope, Send

from esb_gateway.access_log import Log
from esb_gateway.asgi import respond
from esb_gateway.async_invoke.dead_letters import DeadLetters
from esb_gateway.async_invoke.dead_letters_path import DEAD_LETTERS
from esb_gateway.async_invoke.event_rows import DeadLetter
from esb_gateway.errors import CallError, InvalidParameterError, UnknownOperationError, lambda_error

_MOST_LISTED = 1000
_LARGEST_MARKER = 2**63 - 1


class _NoSuchLetterError(CallError):
    """No dead letter of that id."""


@frozen
class _Answer:
    status: int
    body: object = None


class DeadLettersApi:
    """ASGI endpoint of everything at and below `DEAD_LETTERS`."""

    def __init__(self, letters: DeadLetters, log: Log) -> None:
        self._letters = letters
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._find(scope)
        except _NoSuchLetterError as error:
            answer = _Answer(404, {"type": "NotFound", "message": str(error)})
        except CallError as error:
            row = lambda_error(error)
            answer = _Answer(row.status, {"type": row.code, "message": str(error)})
        except Exception as error:  # noqa: BLE001 - the outermost point of a request
            self._log.exception("dead letters not answered", path=scope["path"])
            answer = _Answer(500, {"type": "ServiceException", "message": type(error).__name__})
        body = b"" if answer.body is None else orjson.dumps(answer.body, option=orjson.OPT_APPEND_NEWLINE)
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await respond(send, answer.status, headers, body)

    def _find(self, scope: Scope) -> Awaitable[_Answer]:
        parts: list[str] = scope["path"][len(DEAD_LETTERS) :].split("/")[1:]
        query = parse_qs(scope["query_string"].decode("latin-1"))
        function = query.get("function", [None])[0]
        match scope["method"], parts:
            case "GET", []:
                limit = _number(query, "limit", 100, 1, _MOST_LISTED)
                return self._list(_number(query, "marker", 0, 0, _LARGEST_MARKER), limit, function)
            case "POST", ["replay"]:
                return self._replay_all(function)
            case "GET", [request_id]:
                return self._show(request_id)
            case "DELETE", [request_id]:
                return self._delete(request_id)
            case "POST", [request_id, "replay"]:
                return self._replay(request_id)
        raise UnknownOperationError(f"No operation on dead letters: {scope['method']} {scope['path']}")

    async def _list(self, after: int, limit: int, function: str | None) -> _Answer:
        letters, total = await self._letters.list(after, limit, function)
        more = str(letters[-1].seq) if len(letters) == limit else None
        shown = [_summary(letter) for letter in letters]
        return _Answer(200, {"dead_letters": shown, "next_marker": more, "total": total})

    async def _show(self, request_id: str) -> _Answer:
        letter = await self._letters.find(request_id)
        if letter is None:
            raise _NoSuchLetterError(f"No dead letter {request_id}.")
        secret = {"error": letter.error, "payload": _text(letter.body), "answer": _text(letter.answer)}
        return _Answer(200, {**_summary(letter), **secret})

    async def _delete(self, request_id: str) -> _Answer:
        if not await self._letters.forget(request_id):
            raise _NoSuchLetterError(f"No dead letter {request_id}.")
        self._log.info("dead letter deleted", request_id=request_id)
        return _Answer(204)

    async def _replay(self, request_id: str) -> _Answer:
        if not await self._letters.replay(request_id):
            raise _NoSuchLetterError(f"No dead letter {request_id}.")
        self._log.info("dead letter replayed", request_id=request_id)
        return _Answer(202, {"replayed": 1})

    async def _replay_all(self, function: str | None) -> _Answer:
        replayed = await self._letters.replay_all(function)
        self._log.info("dead letters replayed", events=replayed, function=function)
        return _Answer(202, {"replayed": replayed})


def _number(query: dict[str, list[str]], name: str, default: int, low: int, high: int) -> int:
    text = query.get(name, [str(default)])[0]
    if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
        raise InvalidParameterError(f"Value '{text[:64]}' at '{name}' is no number from {low} to {high}.")
    return int(text)


def _summary(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.request_id,
        "function": letter.function,
        "qualifier": letter.qualifier,
        "trace_id": letter.trace,
        "accepted_at": _stamp(letter.accepted),
        "failed_at": _stamp(letter.failed_at),
        "attempts": letter.attempts,
        "condition": letter.condition,
    }


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")
