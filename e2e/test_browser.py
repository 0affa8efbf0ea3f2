"""A real browser and the box: what the CORS of a SAM template lets pages do, seen from inside the pages.

A page of one origin (`http://127.0.0.1:<port>`) and one of another (`http://localhost:<port>`) fetch from the
gateway, a third origin to both, and write into their DOM what they could read.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from faults.real_box import RealBox

pytestmark = pytest.mark.gate
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER_SECONDS = 120
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Orders:
    Type: AWS::Serverless::HttpApi
    Properties:
      CorsConfiguration:
        AllowOrigins: [PAGE]
        AllowMethods: [GET, PUT]
        AllowHeaders: [content-type, x-one]
        ExposeHeaders: [x-answer]
        AllowCredentials: true
        MaxAge: 5
      Auth:
        Authorizers:
          Tokens:
            IdentitySource: $request.header.Authorization
            JwtConfiguration: {issuer: "https://issuer.test", audience: [orders]}
  Star: {Type: AWS::Serverless::HttpApi, Properties: {CorsConfiguration: true}}
  Plain: {Type: AWS::Serverless::HttpApi}
  Rest:
    Type: AWS::Serverless::Api
    Properties:
      StageName: Prod
      Cors: {AllowOrigin: "'PAGE'", AllowHeaders: "'content-type,x-one'"}
  Web:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: web
      Runtime: python3.11
      CodeUri: src/
      Handler: app.handler
      Timeout: 20
      FunctionUrlConfig:
        AuthType: NONE
        Cors: {AllowOrigins: [PAGE], AllowMethods: [PUT], AllowHeaders: [content-type, x-one]}
      Events:
        Orders: {Type: HttpApi, Properties: {ApiId: !Ref Orders, Path: /http/orders, Method: any}}
        Secret:
          Type: HttpApi
          Properties: {ApiId: !Ref Orders, Path: /http/secret, Method: get, Auth: {Authorizer: Tokens}}
        Star: {Type: HttpApi, Properties: {ApiId: !Ref Star, Path: /star/orders, Method: any}}
        Plain: {Type: HttpApi, Properties: {ApiId: !Ref Plain, Path: /plain, Method: any}}
        Rest: {Type: Api, Properties: {RestApiId: !Ref Rest, Path: /rest/orders, Method: put}}
        Silent: {Type: Api, Properties: {RestApiId: !Ref Rest, Path: /rest/silent, Method: get}}
"""
SOURCE = '''
import json


def handler(event, context):
    """On one REST route it says itself who may read; on HTTP API routes what it says must not count."""
    headers = {"content-type": "application/json", "x-answer": "yes"}
    path = event.get("path") or event["rawPath"]
    if path == "/rest/orders":
        headers["access-control-allow-origin"] = event["headers"].get("Origin", "*")
    elif path.startswith("/http"):
        headers["access-control-allow-origin"] = "https://elsewhere.test"
    method = event.get("httpMethod") or event["requestContext"]["http"]["method"]
    body = {"method": method, "body": event.get("body"), "cookies": event.get("cookies", [])}
    return {"statusCode": 200, "headers": headers, "body": json.dumps(body)}
'''
PAGE = """<!doctype html><title>page</title><pre id="result"></pre><script>
document.cookie = "session=abc";
async function attempt([name, url, options]) {
  try {
    const answer = await fetch(url, options);
    return [name, {status: answer.status, answer: answer.headers.get("x-answer"), json: await answer.json()}];
  } catch (error) {
    return [name, {refused: error.name}];
  }
}
Promise.all(CASES.map(attempt)).then((results) => {
  document.getElementById("result").textContent = JSON.stringify(Object.fromEntries(results));
});
</script>
"""


def cases(gateway: str) -> list[list[Any]]:
    sent = {"method": "PUT", "body": "{}", "headers": {"content-type": "application/json", "x-one": "1"}}
    return [
        ["simple", f"{gateway}/http/orders", {}],
        ["preflighted", f"{gateway}/http/orders", sent],
        ["method not allowed", f"{gateway}/http/orders", {"method": "DELETE"}],
        ["header not allowed", f"{gateway}/http/orders", {"headers": {"x-two": "2"}}],
        ["credentials", f"{gateway}/http/orders", {"credentials": "include"}],
        ["unknown path", f"{gateway}/http/nothing", {}],
        ["no token", f"{gateway}/http/secret", {}],
        ["all origins", f"{gateway}/star/orders", {}],
        ["all origins, credentials", f"{gateway}/star/orders", {"credentials": "include"}],
        ["rest", f"{gateway}/rest/orders", sent],
        ["rest, function silent", f"{gateway}/rest/silent", {}],
        ["no rules", f"{gateway}/plain", {}],
        ["function url", f"{gateway}/function-urls/web/x", sent],
        ["function url, no rules for it", f"{gateway}/function-urls/web/x", {"method": "DELETE"}],
    ]


@pytest.fixture(scope="module")
def chromium() -> str:
    """The browser. Without one these tests say that they did not run; where one is required they fail."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None and os.environ.get("ESB_REQUIRE_BROWSER") == "1":
        pytest.fail("no browser here, and ESB_REQUIRE_BROWSER=1: run e2e/setup-host.sh as root")
    return found or pytest.skip("no browser on this machine: e2e/setup-host.sh installs one")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """A directory and the port that serves it."""
    directory = tmp_path_factory.mktemp("pages")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield directory, server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def box(
    chromium: str, pages: tuple[Path, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealBox]:
    running = RealBox(tmp_path_factory.mktemp("browser"))
    running.generate(TEMPLATE.replace("PAGE", f"http://127.0.0.1:{pages[1]}"), {"src/app.py": SOURCE})
    with running.serving():
        yield running


@pytest.fixture(scope="module")
def visit(
    chromium: str, box: RealBox, pages: tuple[Path, int], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], dict[str, Any]]:
    """Open the page under a host name; what it could read."""
    directory, port = pages
    (directory / "page.html").write_text(PAGE.replace("CASES", json.dumps(cases(box.url)), 1))

    def visit(host: str) -> dict[str, Any]:
        command = [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--virtual-time-budget=30000"),
            *("--dump-dom", f"http://{host}:{port}/page.html"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=BROWSER_SECONDS, check=False)
        found = re.search(r'<pre id="result">(.+?)</pre>', done.stdout, re.DOTALL)
        assert found, f"the page did not finish: {done.stdout}\n{done.stderr[-2000:]}"
        result: dict[str, Any] = json.loads(unescape(found[1]))
        return result

    return visit


@pytest.fixture(scope="module")
def allowed(visit: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """What the page that is allowed could read."""
    return visit("127.0.0.1")


REFUSED = {"refused": "TypeError"}


def test_a_simple_request_is_readable_with_the_headers_that_are_exposed(allowed: dict[str, Any]) -> None:
    assert (allowed["simple"]["status"], allowed["simple"]["answer"]) == (200, "yes")
    assert allowed["simple"]["json"]["method"] == "GET"


def test_a_preflighted_request_passes_and_one_beyond_the_rules_does_not(allowed: dict[str, Any]) -> None:
    assert allowed["preflighted"]["json"] == {"method": "PUT", "body": "{}", "cookies": []}
    assert allowed["method not allowed"] == REFUSED
    assert allowed["header not allowed"] == REFUSED


def test_credentials_go_where_the_origin_is_named_and_never_where_all_are_allowed(
    allowed: dict[str, Any],
) -> None:
    assert allowed["credentials"]["json"]["cookies"] == ["session=abc"]
    assert allowed["all origins"]["status"] == 200
    assert allowed["all origins, credentials"] == REFUSED


def test_the_gateways_own_errors_are_readable(allowed: dict[str, Any]) -> None:
    assert allowed["unknown path"]["json"] == {"message": "Not Found"}
    assert (allowed["no token"]["status"], allowed["no token"]["json"]) == (401, {"message": "Unauthorized"})


def test_a_rest_route_answers_preflights_and_leaves_the_rest_to_its_function(allowed: dict[str, Any]) -> None:
    assert allowed["rest"]["json"]["method"] == "PUT"
    assert allowed["rest, function silent"] == REFUSED


def test_a_function_url_has_rules_of_its_own(allowed: dict[str, Any]) -> None:
    assert allowed["function url"]["json"]["method"] == "PUT"
    assert allowed["function url, no rules for it"] == REFUSED


def test_without_rules_no_page_reads_anything(allowed: dict[str, Any]) -> None:
    assert allowed["no rules"] == REFUSED


def test_a_page_of_another_origin_reads_only_what_all_may(visit: Callable[[str], dict[str, Any]]) -> None:
    seen = visit("localhost")
    readable = {name for name, result in seen.items() if result != REFUSED}
    assert readable == {"all origins"}
