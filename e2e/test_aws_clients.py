"""boto3 and the aws CLI against a real box: gateway, agent and workers as `esb-node up` starts them.

The CLI is the one of PyPI, in an environment of its own (`.venvs/aws-cli`, made from
`aws_cli/requirements.txt`): it brings its own botocore and must not decide over anybody else's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from faults.real_box import RealBox

REQUIREMENTS = Path(__file__).parent / "aws_cli" / "requirements.txt"
REGION = "us-east-1"
TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.11, CodeUri: src/, Timeout: 20, MemorySize: 256}
Resources:
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: hello
      Handler: app.hello
      Environment: {Variables: {TABLE: orders}}
      ReservedConcurrentExecutions: 4
  Fail: {Type: AWS::Serverless::Function, Properties: {FunctionName: fail, Handler: app.fail}}
  Slow: {Type: AWS::Serverless::Function, Properties: {FunctionName: slow, Handler: app.slow, Timeout: 1}}
  Large: {Type: AWS::Serverless::Function, Properties: {FunctionName: large, Handler: app.large}}
  Parts: {Type: AWS::Serverless::Function, Properties: {FunctionName: parts, Handler: app.parts}}
  Chain: {Type: AWS::Serverless::Function, Properties: {FunctionName: chain, Handler: app.chain}}
  Off:
    Type: AWS::Serverless::Function
    Properties: {FunctionName: "off", Handler: app.hello, ReservedConcurrentExecutions: 0}
"""
SOURCE = """
import json
import time


def hello(event, context):
    print("hello from the function")
    told = context.client_context
    return {
        "event": event,
        "arn": context.invoked_function_arn,
        "custom": told.custom if told else None,
        "request": context.aws_request_id,
    }


def fail(event, context):
    return {}["missing"]


def slow(event, context):
    time.sleep(event.get("seconds", 0))
    return "awake"


def large(event, context):
    return "x" * event["size"]


def parts(event, context):
    yield "one"
    yield "two"


def chain(event, context):
    import boto3

    answer = boto3.client("lambda").invoke(FunctionName="hello", Payload=json.dumps(event))
    return json.load(answer["Payload"])
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealBox]:
    running = RealBox(tmp_path_factory.mktemp("clients"))
    running.generate(TEMPLATE, {"src/app.py": SOURCE})
    with running.serving():
        yield running


@pytest.fixture(scope="module")
def key(box: RealBox) -> dict[str, str]:
    """The operator's key pair, as the box made it."""
    access_key, secret = box.operator()
    return {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret}


@pytest.fixture(scope="module")
def client(box: RealBox, lambda_client: Callable[[RealBox], AbstractContextManager[Any]]) -> Iterator[Any]:
    with lambda_client(box) as made:
        yield made


def test_a_function_is_called_with_all_that_boto3_can_say(client: Any) -> None:
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    answer = client.invoke(
        FunctionName="hello", Qualifier="live", ClientContext=context, LogType="Tail", Payload=b'{"a": 1}'
    )
    said = json.load(answer["Payload"])
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert (said["event"], said["custom"]["k"]) == ({"a": 1}, "v")
    assert said["arn"].endswith(":function:hello:live")
    assert said["request"] == answer["ResponseMetadata"]["RequestId"]


def test_the_end_of_the_log_is_aws_lambdas(client: Any) -> None:
    answer = client.invoke(FunctionName="hello", LogType="Tail", Payload=b"{}")
    request = answer["ResponseMetadata"]["RequestId"]
    log = base64.b64decode(answer["LogResult"]).decode()
    assert "hello from the function\n" in log
    for line in (f"START RequestId: {request}", f"END RequestId: {request}", f"REPORT RequestId: {request}"):
        assert line in log
    assert "LogResult" not in client.invoke(FunctionName="hello", Payload=b"{}")


def test_a_functions_error_has_the_runtimes_payload(client: Any) -> None:
    answer = client.invoke(FunctionName="fail", LogType="Tail", Payload=b"{}")
    told = json.load(answer["Payload"])
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert (told["errorType"], told["errorMessage"]) == ("KeyError", "'missing'")
    assert told["stackTrace"]
    assert "KeyError" in base64.b64decode(answer["LogResult"]).decode()


def test_a_timeout_is_told_as_aws_does_and_costs_only_its_worker(client: Any) -> None:
    answer = client.invoke(FunctionName="slow", Payload=b'{"seconds": 30}')
    assert answer["FunctionError"] == "Unhandled"
    message = json.load(answer["Payload"])["errorMessage"]
    assert re.search(r" [0-9a-f-]{36} Task timed out after 1\.00 seconds$", message)
    assert json.load(client.invoke(FunctionName="slow", Payload=b"{}")["Payload"]) == "awake"


def test_an_answer_may_have_six_megabytes_and_no_more(client: Any) -> None:
    size = 6 * 1024 * 1024 - 2
    answer = client.invoke(FunctionName="large", Payload=json.dumps({"size": size}))
    assert len(answer["Payload"].read()) == size + 2
    answer = client.invoke(FunctionName="large", Payload=json.dumps({"size": size + 200}))
    assert answer["FunctionError"] == "Unhandled"
    assert json.load(answer["Payload"])["errorType"] == "Function.ResponseSizeTooLarge"


def test_a_response_stream_carries_the_answer_and_the_log(client: Any) -> None:
    payload = json.dumps({"size": 200_000})
    answer = client.invoke_with_response_stream(FunctionName="large", LogType="Tail", Payload=payload)
    events = list(answer["EventStream"])
    chunks = [one["PayloadChunk"]["Payload"] for one in events if "PayloadChunk" in one]
    assert json.loads(b"".join(chunks)) == "x" * 200_000
    assert len(chunks) > 1
    assert b"REPORT RequestId" in base64.b64decode(events[-1]["InvokeComplete"]["LogResult"])
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")


def test_a_response_stream_ends_with_the_functions_error(client: Any) -> None:
    answer = client.invoke_with_response_stream(FunctionName="fail", Payload=b"{}")
    (event,) = answer["EventStream"]
    assert event["InvokeComplete"]["ErrorCode"] == "Unhandled"
    assert json.loads(event["InvokeComplete"]["ErrorDetails"])["errorType"] == "KeyError"
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke_with_response_stream(FunctionName="nobody")


def test_pythons_runtime_client_cannot_stream_a_generator(client: Any) -> None:
    """When this fails, awslambdaric has learned to stream and the gateway should hand the parts on."""
    (event,) = client.invoke_with_response_stream(FunctionName="parts", Payload=b"{}")["EventStream"]
    assert json.loads(event["InvokeComplete"]["ErrorDetails"])["errorType"] == "Runtime.MarshalError"


def test_every_error_is_one_of_boto3s_own(client: Any) -> None:
    errors = client.exceptions
    with pytest.raises(errors.ResourceNotFoundException, match=r"function:nobody$"):
        client.invoke(FunctionName="nobody")
    with pytest.raises(errors.TooManyRequestsException) as throttled:
        client.invoke(FunctionName="off")
    assert throttled.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert throttled.value.response["retryAfterSeconds"] == "1"
    for kind, limit in (("RequestResponse", 6 * 1024 * 1024), ("Event", 1024 * 1024)):
        with pytest.raises(errors.RequestTooLargeException, match=f"smaller than {limit} bytes"):
            client.invoke(FunctionName="hello", InvocationType=kind, Payload=b'"' + b"x" * limit + b'"')
    with pytest.raises(errors.InvalidRequestContentException):
        client.invoke(FunctionName="hello", Payload=b"{")
    with pytest.raises(errors.InvalidParameterValueException):
        client.invoke(FunctionName="hello:a", Qualifier="b")
    with pytest.raises(errors.InvalidParameterValueException, match=r"Invalid marker"):
        client.list_functions(Marker="nonsense")
    with pytest.raises(ClientError, match=r"AccessDeniedException.*artifactctl apply"):
        client.delete_function(FunctionName="hello")


def test_functions_are_listed_and_described(client: Any) -> None:
    pages = client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
    found = [one for page in pages for one in page["Functions"]]
    assert [one["FunctionName"] for one in found] == [
        "chain",
        "fail",
        "hello",
        "large",
        "off",
        "parts",
        "slow",
    ]
    client.get_waiter("function_active_v2").wait(FunctionName="hello")
    hello = client.get_function(FunctionName="hello")
    configuration = hello["Configuration"]
    assert hello["Concurrency"] == {"ReservedConcurrentExecutions": 4}
    assert (configuration["Runtime"], configuration["Handler"]) == ("python3.11", "app.hello")
    assert (configuration["Timeout"], configuration["MemorySize"]) == (20, 256)
    assert configuration["Environment"]["Variables"]["TABLE"] == "orders"
    assert client.get_function_configuration(FunctionName="hello")["State"] == "Active"


def test_a_function_calls_another_with_boto3_and_nothing_else(client: Any) -> None:
    answer = client.invoke(FunctionName="chain", Payload=b'{"from": "chain"}')
    assert "FunctionError" not in answer, answer["Payload"].read()
    assert json.load(answer["Payload"])["event"] == {"from": "chain"}


# --- the aws CLI --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws_program(root: Path, uv: str) -> Path:
    """The aws CLI, installed when it is not there or its requirements have changed."""
    home = root / ".venvs" / "aws-cli"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp = home / ".state"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        environ = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, home], check=True, env=environ)
        install = [uv, "pip", "install", "--quiet", "--require-hashes", "--compile-bytecode"]
        python = home / "bin" / "python"
        subprocess.run([*install, "--python", python, "-r", REQUIREMENTS], check=True, env=environ)
        stamp.write_text(wanted)
    return home / "bin" / "aws"


Aws = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def aws(aws_program: Path, box: RealBox, key: dict[str, str], tmp_path: Path) -> Aws:
    """`aws lambda …` as a person would type it, with nothing of this machine's own settings."""

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": box.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
            **key,
            **more,
        }
        command = [str(aws_program), "lambda", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_cli_invokes(aws: Aws, tmp_path: Path) -> None:
    done = told(
        aws("invoke", "--function-name", "hello", "--payload", '{"a": 1}', "--log-type", "Tail", "out")
    )
    assert (done["StatusCode"], done["ExecutedVersion"]) == (200, "$LATEST")
    assert b"START RequestId" in base64.b64decode(done["LogResult"])
    assert json.loads((tmp_path / "out").read_text())["event"] == {"a": 1}
    failed = told(aws("invoke", "--function-name", "fail", "out"))
    assert failed["FunctionError"] == "Unhandled"
    assert json.loads((tmp_path / "out").read_text())["errorType"] == "KeyError"


def test_the_cli_sends_events_and_dry_runs(aws: Aws) -> None:
    for kind, status in (("Event", 202), ("DryRun", 204)):
        words = ("invoke", "--function-name", "hello", "--invocation-type", kind, "out")
        assert told(aws(*words))["StatusCode"] == status


def test_the_cli_lists_and_describes_functions(aws: Aws) -> None:
    names = told(aws("list-functions", "--page-size", "2", "--query", "Functions[].FunctionName"))
    assert names == ["chain", "fail", "hello", "large", "off", "parts", "slow"]
    some = told(aws("list-functions", "--max-items", "2"))
    rest = told(aws("list-functions", "--starting-token", some["NextToken"]))
    assert [one["FunctionName"] for one in some["Functions"] + rest["Functions"]] == names
    hello = told(aws("get-function", "--function-name", "hello"))
    assert told(aws("get-function-configuration", "--function-name", "hello")) == hello["Configuration"]
    assert told(aws("get-function-concurrency", "--function-name", "hello")) == hello["Concurrency"]
    assert aws("wait", "function-active-v2", "--function-name", "hello").returncode == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("invoke", "--function-name", "nobody", "out"), "ResourceNotFoundException"),
        (("invoke", "--function-name", "off", "out"), "TooManyRequestsException"),
        (("invoke", "--function-name", "hello", "--payload", "{", "out"), "InvalidRequestContentException"),
        (
            ("invoke", "--function-name", "hello:a", "--qualifier", "b", "out"),
            "InvalidParameterValueException",
        ),
        (("get-function", "--function-name", "nobody"), "ResourceNotFoundException"),
        (("delete-function", "--function-name", "hello"), "AccessDeniedException"),
        (("list-layers",), "UnknownOperationException"),
    ],
)
def test_the_cli_tells_errors_and_its_exit_code_says_so(aws: Aws, words: tuple[str, ...], error: str) -> None:
    done = aws(*words)
    assert (done.returncode, done.stdout) == (255, "")  # version 2 of the CLI: 254
    assert f"An error occurred ({error})" in done.stderr


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "guessed"}, "InvalidSignatureException"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "UnrecognizedClientException"),
    ],
)
def test_the_cli_is_refused_with_a_wrong_key(aws: Aws, wrong: dict[str, str], error: str) -> None:
    done = aws("list-functions", **wrong)
    assert (done.returncode, done.stdout) == (255, "")
    assert f"An error occurred ({error})" in done.stderr
    unsigned = aws("list-functions", "--no-sign-request")
    assert "An error occurred (MissingAuthenticationTokenException)" in unsigned.stderr
