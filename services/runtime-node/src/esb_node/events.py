"""The box's dead letters (events given up), by the gateway's own interface for who runs the box."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define, field, frozen

from esb_node.errors import NodeError

_PATH = "/events/dead-letters"
_PAGE = 1000
_SECONDS = 30.0
# The gateway is reached directly, whatever proxy the environment names for the rest of the world.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@frozen
class Listed:
    """Dead letters, oldest first, and how many the box has in all."""

    letters: tuple[Mapping[str, Any], ...]
    total: int


@define
class EventsClient:
    """Asks the gateway at `url`; every method raises NodeError when it does not do what was asked for."""

    url: str
    admin_key: str = field(repr=False)

    def list(self, function: str | None, limit: int) -> Listed:
        """Up to `limit` dead letters, without their payloads."""
        letters: list[Mapping[str, Any]] = []
        marker, total = "0", 0
        while marker and len(letters) < limit:
            query = {"limit": str(min(_PAGE, limit - len(letters))), "marker": marker}
            page = self._call("GET", "", query | ({"function": function} if function else {}))
            letters += page["dead_letters"]
            marker, total = page["next_marker"], page["total"]
        return Listed(tuple(letters), total)

    def show(self, event_id: str) -> Mapping[str, Any]:
        """One with everything it has, payload and answer too."""
        found: Mapping[str, Any] = self._call("GET", f"/{_segment(event_id)}")
        return found

    def replay(self, event_id: str) -> None:
        """Have one delivered again."""
        self._call("POST", f"/{_segment(event_id)}/replay")

    def replay_all(self, function: str | None) -> int:
        """Have all of them, or of a function, delivered again; returns how many the queue took."""
        replayed: int = self._call("POST", "/replay", {"function": function} if function else {})["replayed"]
        return replayed

    def delete(self, event_id: str) -> None:
        """Delete one."""
        self._call("DELETE", f"/{_segment(event_id)}")

    def _call(self, method: str, path: str, query: Mapping[str, str] | None = None) -> Any:
        address = f"{self.url.rstrip('/')}{_PATH}{path}" + (f"?{urlencode(query)}" if query else "")
        if not address.startswith(("http://", "https://")):
            raise NodeError(f"{self.url}: expected an http address")
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            address, method=method, headers={"x-api-key": self.admin_key}
        )
        try:
            with _open(request, timeout=_SECONDS) as response:
                body = response.read()
            return json.loads(body) if body else None
        except urllib.error.HTTPError as error:
            with error:
                raise NodeError(f"the gateway refuses: {_message(error)}") from error
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise NodeError(f"the gateway at {self.url} does not answer: {reason}") from error
        except ValueError as error:
            raise NodeError(f"{self.url}: not a gateway of a box") from error


def _segment(event_id: str) -> str:
    return quote(event_id, safe="")


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return f"{error.code}: {json.loads(error.read())['message']}"
    except (ValueError, KeyError, TypeError, OSError):
        return f"{error.code} {error.reason}"
