import json

import boto3
import pytest
from esb_gateway.lambda_api.paths import is_lambda_api

FUNCTIONS = {"hello": {"image": "hello:1", "function_url": {}, "async_invoke": {"max_retries": 1}}}
MODEL = boto3.Session().client("lambda", region_name="us-east-1").meta.service_model
DONE = {
    "Invoke",
    "InvokeWithResponseStream",
    "ListFunctions",
    "GetFunction",
    "GetFunctionConfiguration",
    "GetFunctionConcurrency",
    "GetFunctionEventInvokeConfig",
    "GetFunctionUrlConfig",
    "ListFunctionUrlConfigs",
    "ListVersionsByFunction",
}


@pytest.fixture(scope="module")
def operations() -> dict[str, tuple[str, str]]:
    """Method and path of every operation that boto3 knows, asked of the function `hello`."""
    found = {}
    for name in MODEL.operation_names:
        http = MODEL.operation_model(name).http
        path = http["requestUri"].replace("{FunctionName}", "hello").partition("?")[0]
        found[name] = (http["method"], path.replace("{", "").replace("}", ""))
    return found


async def test_every_operation_of_aws_is_done_or_refused_in_awss_form(gateway, operations):
    async with gateway(FUNCTIONS) as box:
        for name, (method, path) in operations.items():
            if path.startswith("/2026-"):
                continue  # newer than this gateway: a route may have such a path
            response = await box.client.request(method, path)
            if name in DONE:
                assert response.status_code == 200, name
                continue
            code = response.headers["x-amzn-errortype"]
            expected = (
                (404, "UnknownOperationException") if method == "GET" else (403, "AccessDeniedException")
            )
            assert (response.status_code, code) == expected, name
            message = json.loads(response.content)["Message"]
            assert method == "GET" or "artifactctl apply" in message


async def test_a_slash_at_the_end_changes_nothing(gateway):
    async with gateway(FUNCTIONS) as box:
        for method, path in (
            ("POST", "/2015-03-31/functions/hello/invocations"),
            ("POST", "/2021-11-15/functions/hello/response-streaming-invocations"),
            ("GET", "/2015-03-31/functions/hello"),
            ("GET", "/2015-03-31/functions/hello/configuration"),
            ("GET", "/2021-10-31/functions/hello/url"),
        ):
            assert (await box.client.request(method, f"{path}/")).status_code == 200, path


def test_the_apis_paths_are_told_from_routes():
    assert is_lambda_api("/2015-03-31/functions/")
    assert is_lambda_api("/2021-11-15/functions/f/response-streaming-invocations")
    for path in ("/", "/orders", "/2015-03-31", "/2015-03-32/functions", "/x2015-03-31/"):
        assert not is_lambda_api(path)
