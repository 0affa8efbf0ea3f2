"""Is this container's gateway serving? Exit code 0 when `/health` says so; 503 means the agent is away."""

import http.client
import os
import sys

host = os.environ.get("ESB_GATEWAY_HOST") or "127.0.0.1"
port = int(os.environ.get("ESB_GATEWAY_PORT") or 8080)
connection = http.client.HTTPConnection(host, port, timeout=4)
connection.request("GET", "/health")
sys.exit(connection.getresponse().status != http.HTTPStatus.OK)
