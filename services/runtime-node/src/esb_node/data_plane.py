"""The embedded data plane: moto's server for tables and buckets, and for nothing else that it can do.

    python -m esb_node.data_plane -H ADDRESS -p PORT

Functions reach this port, and what answers runs as the box's user on the host. moto as it comes also starts
containers for functions of its own, sends requests to addresses that a topic names, writes what it hears into
a file and forgets everything on request: ways out of a sandbox. So only some of its services answer, and of
its own pages the one that says that it is up.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

# By moto's names. `sts` tells an SDK who it is, and reaches nothing.
SERVED = frozenset({"dynamodb", "dynamodb_v20111205", "dynamodbstreams", "s3", "sts"})
READY_PATH = "/moto-api/"
_OWN_PAGES = "/moto-api"

App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def main() -> None:
    """Serve until told to stop."""
    from werkzeug.serving import run_simple  # noqa: PLC0415 - comes with moto, an extra

    parser = argparse.ArgumentParser(prog="esb_node.data_plane", description="tables and buckets in memory")
    parser.add_argument("-H", "--host", required=True)
    parser.add_argument("-p", "--port", type=int, required=True)
    options = parser.parse_args()
    os.environ["MOTO_PORT"] = str(options.port)
    app, handler = make_app()
    run_simple(options.host, options.port, app, threaded=True, request_handler=handler)


def make_app() -> tuple[App, Any]:
    """What answers requests, and what reads them off a connection."""
    from moto.moto_server import werkzeug_app as moto  # noqa: PLC0415 - takes a second to load

    def create(service: Any) -> Any:
        return moto.create_backend_app(service) if service in SERVED else refuse

    return guarded(moto.DomainDispatcherApplication(create)), moto.MotoRequestHandler


def guarded(app: App) -> App:
    """Keep moto's own pages from callers, but for one that answers that it is up."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == READY_PATH and environ.get("REQUEST_METHOD") == "GET":
            return _say(start_response, HTTPStatus.OK, b'{"message": "ready"}\n')
        return (refuse if path.startswith(_OWN_PAGES) else app)(environ, start_response)

    return answer


def refuse(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer what every service but the stores answers."""
    return _say(start_response, HTTPStatus.NOT_IMPLEMENTED, b'{"message": "only tables and buckets here"}\n')


def _say(start_response: Any, status: HTTPStatus, body: bytes) -> Iterable[bytes]:
    kind, length = ("Content-Type", "application/json"), ("Content-Length", str(len(body)))
    start_response(f"{status.value} {status.phrase}", [kind, length])
    return [body]


if __name__ == "__main__":
    main()
