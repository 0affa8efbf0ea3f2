"""A request to the Lambda API: which operation, on which function, and what came with it."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote

from attrs import define

from esb_gateway.errors import ConstraintError, InvalidContentError, PayloadTooLargeError
from esb_gateway.http_messages import Request
from esb_gateway.lambda_api.function_names import FunctionName, parse_function_name, with_qualifier
from esb_gateway.routes.client import TrustedProxies, client_of

MAX_BODY_BYTES = 6 * 1024 * 1024


@define
class ApiRequest:
    """One request; `client_context` is ready for a worker and carries the trace."""

    request_id: str
    trace: str
    client_context: str
    http: Request

    def origin(self, trusted: TrustedProxies) -> str:
        """Return this gateway as the client reached it: scheme, name and port."""
        client = client_of(self.http, trusted)
        host = client.host or self.http.fields.get(b"host", b"localhost").decode("latin-1")
        return f"{client.scheme}://{host}"

    async def body(self, limit: int, what: str) -> bytes:
        """Return the body.

        Raises:
            PayloadTooLargeError: it is longer than `limit` bytes, which `what` is sent with may not be.
        """
        whole = self.http.whole()
        if whole is not None and len(whole) <= limit:
            return whole
        try:
            return await self.http.body(limit)
        except PayloadTooLargeError as error:
            raise PayloadTooLargeError(
                f"Request must be smaller than {limit} bytes for the {what}, found {error}"
            ) from error

    def parameter(self, name: str) -> str | None:
        """Return a query parameter; of several values the first."""
        query = self.http.query
        return _first(query, name) if query else None

    def number(self, name: str, low: int, high: int) -> int | None:
        """Return a query parameter that is a number from `low` to `high`.

        Raises:
            ConstraintError: it is none.
        """
        text = self.parameter(name)
        if text is None:
            return None
        shown = name[0].lower() + name[1:]
        if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
            raise ConstraintError(
                f"1 validation error detected: Value '{text[:64]}' at '{shown}' failed to satisfy "
                f"constraint: Member must be a number from {low} to {high}"
            )
        return int(text)


def _first(query_string: bytes, name: str) -> str | None:
    try:
        values = parse_qs(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=64).get(name)
    except ValueError as error:
        raise InvalidContentError("The query string has too many parameters.") from error
    return values[0] if values else None


def function_in(encoded: str, query_string: bytes) -> FunctionName:
    """Read a function's name from its segment of the path, joined with the `Qualifier` parameter.

    Raises:
        InvalidNameError: it is no name.
        InvalidParameterError: name and parameter contradict each other.
    """
    named = parse_function_name(unquote(encoded) if "%" in encoded else encoded)
    return with_qualifier(named, _first(query_string, "Qualifier")) if query_string else named
