"""Which operation of the Lambda API a request is, by method and path.

    POST /2015-03-31/functions/{name}/invocations                     Invoke
    POST /2021-11-15/functions/{name}/response-streaming-invocations  InvokeWithResponseStream
    GET  /2015-03-31/functions                                        ListFunctions
    GET  /2015-03-31/functions/{name}                                 GetFunction
    GET  /2015-03-31/functions/{name}/configuration                   GetFunctionConfiguration
    GET  /2015-03-31/functions/{name}/versions                        ListVersionsByFunction
    GET  /2019-09-25/functions/{name}/event-invoke-config             GetFunctionEventInvokeConfig
    GET  /2019-09-30/functions/{name}/concurrency                     GetFunctionConcurrency
    GET  /2021-10-31/functions/{name}/url                             GetFunctionUrlConfig
    GET  /2021-10-31/functions/{name}/urls                            ListFunctionUrlConfigs

What would change something is refused: functions get here by `artifactctl apply` and in no other way.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from esb_gateway.async_invoke.event_queue import EventQueue
from esb_gateway.errors import ReadOnlyError, UnknownOperationError
from esb_gateway.front import Front
from esb_gateway.lambda_api.function_names import FunctionName
from esb_gateway.lambda_api.invoke import Invoke
from esb_gateway.lambda_api.queries import Queries
from esb_gateway.lambda_api.replies import Reply
from esb_gateway.lambda_api.request import ApiRequest
from esb_gateway.lambda_api.response_stream import InvokeWithResponseStream
from esb_gateway.routes.client import TrustedProxies

Operation = Callable[[ApiRequest, FunctionName], Awaitable[Reply]]
_FUNCTIONS = "/2015-03-31/functions/"
_INVOCATIONS = "/invocations"
_OF_FUNCTION = re.compile(r"(/\d{4}-\d\d-\d\d)/functions/([^/]+)(/[a-z-]+)?/?")


class Operations:
    """The table above."""

    def __init__(self, front: Front, events: EventQueue, trusted: TrustedProxies) -> None:
        queries = Queries(front, trusted)
        self._invoke = Invoke(front, events)
        self._list = queries.list_functions
        self._table: dict[tuple[str, str, str], Operation] = {
            ("POST", "/2015-03-31", "/invocations"): self._invoke,  # with a slash behind it
            ("POST", "/2021-11-15", "/response-streaming-invocations"): InvokeWithResponseStream(front),
            ("GET", "/2015-03-31", ""): queries.get_function,
            ("GET", "/2015-03-31", "/configuration"): queries.get_function_configuration,
            ("GET", "/2015-03-31", "/versions"): queries.list_versions,
            ("GET", "/2019-09-25", "/event-invoke-config"): queries.get_event_invoke_config,
            ("GET", "/2019-09-30", "/concurrency"): queries.get_function_concurrency,
            ("GET", "/2021-10-31", "/url"): queries.get_url_config,
            ("GET", "/2021-10-31", "/urls"): queries.list_url_configs,
        }

    def find(self, method: str, path: str) -> tuple[Operation, str | None]:
        """Return the operation, and the name of its function as it stands in the path.

        Raises:
            UnknownOperationError: AWS has none like this, or this gateway doesn't do it.
            ReadOnlyError: it would change something.
        """
        if method == "POST" and path.startswith(_FUNCTIONS) and path.endswith(_INVOCATIONS):
            return self._invoke, path[len(_FUNCTIONS) : -len(_INVOCATIONS)]
        if method == "GET" and path in {_FUNCTIONS, _FUNCTIONS[:-1]}:
            return self._list, None
        match = _OF_FUNCTION.fullmatch(path)
        if match is not None:
            date, name, rest = match.groups(default="")
            operation = self._table.get((method, date, rest))
            if operation is not None:
                return operation, name
        raise _refusal(method, path)


def _refusal(method: str, path: str) -> UnknownOperationError | ReadOnlyError:
    shown = f"{method} {path[:200]}"
    if method in {"PUT", "POST", "PATCH", "DELETE"}:
        return ReadOnlyError(
            f"{shown}: what this box runs is deployed with `artifactctl apply`, not through its Lambda API."
        )
    return UnknownOperationError(f"No operation of this gateway's Lambda API: {shown}")
